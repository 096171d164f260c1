package sms

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// Origin is where a job came from: its subject names the route, the lane and
// the producer.
type Origin struct {
	Route    string
	Lane     Lane
	Producer string
}

// DefaultPrefix is the first token of every subject unless configured
// otherwise.
const DefaultPrefix = "sms"

// Subjects builds and reads the subjects, and the stream names, of one
// deployment. The zero value uses DefaultPrefix.
//
// Arguments are inserted as they are: the caller has checked routes and
// producers with ValidToken. Methods called Filter take an empty argument for
// "any".
type Subjects struct {
	Prefix string // one or more dot-separated tokens; empty means DefaultPrefix
}

// Validate reports a prefix that cannot stand in subjects and stream names.
func (s Subjects) Validate() error {
	for t := range strings.SplitSeq(s.prefix(), ".") {
		if !ValidToken(t) {
			return fmt.Errorf("subject prefix: must be dot-separated tokens of 1..32 of A-Z a-z 0-9 _ -, is %s", quote(s.Prefix))
		}
	}
	return nil
}

// Jobs is where a producer publishes: sms.jobs.<route>.<lane>.<producer>.
func (s Subjects) Jobs(o Origin) string {
	return s.join("jobs", o.Route, string(o.Lane), o.Producer)
}

// JobsFilter matches the jobs of a route and lane from every producer.
func (s Subjects) JobsFilter(route string, lane Lane) string {
	return s.join("jobs", anyIfEmpty(route), anyIfEmpty(string(lane)), "*")
}

// RetryAt is where the schedule of a job's next attempt is stored:
// sms.retry.at.<route>.<hash>. There is one schedule per subject, so
// jobKey must name the job among all producers; use JobKey. It stands in the
// subject as a hash, because job ids may contain dots.
func (s Subjects) RetryAt(route, jobKey string) string {
	sum := sha256.Sum256([]byte(jobKey))
	return s.join("retry", "at", route, base64.RawURLEncoding.EncodeToString(sum[:16]))
}

// RetryDue is where a job comes back for another attempt:
// sms.retry.due.<route>.<lane>.<producer>.
func (s Subjects) RetryDue(o Origin) string {
	return s.join("retry", "due", o.Route, string(o.Lane), o.Producer)
}

// RetryDueFilter matches the due retries of a route and lane.
func (s Subjects) RetryDueFilter(route string, lane Lane) string {
	return s.join("retry", "due", anyIfEmpty(route), anyIfEmpty(string(lane)), "*")
}

// RetryTurn is where a job waits that was taken out of the queue to go before
// another producer's: sms.retry.turn.<route>.<lane>.<producer>.
func (s Subjects) RetryTurn(o Origin) string {
	return s.join("retry", "turn", o.Route, string(o.Lane), o.Producer)
}

// RetryTurnFilter matches these jobs of a route and lane.
func (s Subjects) RetryTurnFilter(route string, lane Lane) string {
	return s.join("retry", "turn", anyIfEmpty(route), anyIfEmpty(string(lane)), "*")
}

// RetryAll matches schedules, due retries and jobs whose turn has come.
func (s Subjects) RetryAll() string { return s.join("retry", ">") }

// Results is where outcomes and receipts are published:
// sms.results.<producer>.<route>.<kind>.
func (s Subjects) Results(producer, route string, kind Kind) string {
	return s.join("results", producer, route, string(kind))
}

// ResultsFilter matches results; empty arguments match any.
func (s Subjects) ResultsFilter(producer, route string, kind Kind) string {
	return s.join("results", anyIfEmpty(producer), anyIfEmpty(route), anyIfEmpty(string(kind)))
}

// Inbound is where the mobile-originated messages of a route are published.
func (s Subjects) Inbound(route string) string { return s.join("inbound", route) }

// InboundFilter matches the inbound messages of a route.
func (s Subjects) InboundFilter(route string) string { return s.join("inbound", anyIfEmpty(route)) }

// StatusAsk is where workers are asked how they are: sms.status.ask.
func (s Subjects) StatusAsk() string { return s.join("status", "ask") }

// Dead is where the jobs of a route that could not be handled are kept.
func (s Subjects) Dead(route string) string { return s.join("dead", route) }

// DeadFilter matches the dead letters of a route.
func (s Subjects) DeadFilter(route string) string { return s.join("dead", anyIfEmpty(route)) }

// ParseOrigin reads the subject of a job, wherever it waits. It does not
// allocate when the subject is well-formed; else the error is an *Error with
// CodeInvalid.
func (s Subjects) ParseOrigin(subject string) (Origin, error) {
	rest, ok := strings.CutPrefix(subject, s.prefix())
	if ok {
		if job, isJob := strings.CutPrefix(rest, ".jobs."); isJob {
			rest = job
		} else if turn, isTurn := strings.CutPrefix(rest, ".retry.turn."); isTurn {
			rest = turn
		} else {
			rest, ok = strings.CutPrefix(rest, ".retry.due.")
		}
	}
	if !ok {
		return Origin{}, &Error{Op: "parse subject", Code: CodeInvalid, Err: fmt.Errorf("not a job, due retry or turn under %q", s.prefix())}
	}
	route, rest, _ := strings.Cut(rest, ".")
	lane, producer, _ := strings.Cut(rest, ".")
	o := Origin{Route: route, Lane: Lane(lane), Producer: producer}
	if !ValidToken(route) || !o.Lane.Valid() || !ValidToken(producer) {
		return Origin{}, &Error{Op: "parse subject", Code: CodeInvalid, Err: fmt.Errorf("must end in <route>.<high|normal|bulk>.<producer>")}
	}
	return o, nil
}

// StreamJobs names the job stream of a route, SMS_JOBS_<ROUTE>.
//
// Stream names are upper-cased, so routes that differ by case only would share
// a stream: configuration must refuse them. Dots of the prefix become
// underscores, so the prefixes a.b and a_b cannot share a server.
func (s Subjects) StreamJobs(route string) string {
	return s.stream("JOBS_" + strings.ToUpper(route))
}

// StreamRetry names the stream of jobs that wait for another attempt.
func (s Subjects) StreamRetry() string { return s.stream("RETRY") }

// StreamResults names the stream of outcomes and receipts.
func (s Subjects) StreamResults() string { return s.stream("RESULTS") }

// StreamInbound names the stream of mobile-originated messages.
func (s Subjects) StreamInbound() string { return s.stream("INBOUND") }

// StreamDead names the stream of jobs that could not be handled.
func (s Subjects) StreamDead() string { return s.stream("DEAD") }

// StreamAdvisory names the stream that keeps JetStream's own advisories.
func (s Subjects) StreamAdvisory() string { return s.stream("ADVISORY") }

func (s Subjects) prefix() string {
	if s.Prefix == "" {
		return DefaultPrefix
	}
	return s.Prefix
}

func (s Subjects) stream(name string) string {
	return strings.ToUpper(strings.ReplaceAll(s.prefix(), ".", "_")) + "_" + name
}

func (s Subjects) join(tokens ...string) string {
	n := len(s.prefix())
	for _, t := range tokens {
		n += 1 + len(t)
	}
	b := make([]byte, 0, n)
	b = append(b, s.prefix()...)
	for _, t := range tokens {
		b = append(b, '.')
		b = append(b, t...)
	}
	return string(b)
}

func anyIfEmpty(token string) string {
	if token == "" {
		return "*"
	}
	return token
}

// ValidToken reports whether s can name a route or a producer:
// [A-Za-z0-9_-]{1,32}.
func ValidToken(s string) bool {
	if len(s) < 1 || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// JobKey names a job among all producers: a job id is unique within its
// producer only.
func JobKey(producer, jobID string) string { return producer + "." + jobID }

func isDigit(c byte) bool { return c-'0' <= 9 }

func isAlnum(c byte) bool { return isDigit(c) || (c|0x20)-'a' <= 'z'-'a' }
