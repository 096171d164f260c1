package receipts

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// correlation is what is kept under a message id: the job, the part, and the
// id as the part's result shows it, since a receipt may write it differently.
// In Redis it is text:
//
//	1 4:shop 11:9f86d081-2a 4:acme 5:Msg-1 2 0 1 3 {"order":7}
//
// The version; producer, job, route and id, in version 2 also the route that
// carried the job in that one's place, in version 3 that route or nothing and
// then traceparent and tracestate of the submit, each behind its length in
// octets, since nothing is certain of an SMSC's id; the attempt; 1 when the job
// was in doubt; part, parts in all; then the meta of the job.
type correlation struct {
	sms.JobRef
	Part  int
	Total int
	ID    string
}

// Versions of correlations. A worker that knows only the first would publish a
// receipt of the second under another route than its job's.
const (
	correlationOwn    = "1" // carried by the job's route
	correlationVia    = "2"
	correlationTraced = "3"

	correlationVersions = correlationOwn + correlationVia + correlationTraced
)

func (c *correlation) sameMessage(other *correlation) bool {
	return c.Producer == other.Producer && c.JobID == other.JobID && c.Part == other.Part
}

func (c *correlation) append(b []byte) []byte {
	version, counted := correlationOwn, [...]string{c.Producer, c.JobID, c.Route, c.ID, c.Via, "", ""}
	fields := counted[:4]
	switch {
	case c.Trace != nil:
		counted[5], counted[6] = c.Trace.Parent(), c.Trace.State
		version, fields = correlationTraced, counted[:]
	case c.Via != "":
		version, fields = correlationVia, counted[:5]
	}
	b = append(b, version...)
	b = append(b, ' ')
	for _, s := range fields {
		b = strconv.AppendInt(b, int64(len(s)), 10)
		b = append(b, ':')
		b = append(b, s...)
		b = append(b, ' ')
	}
	doubt := 0
	if c.Doubt {
		doubt = 1
	}
	for _, n := range [...]int{c.Attempt, doubt, c.Part, c.Total} {
		b = strconv.AppendInt(b, int64(n), 10)
		b = append(b, ' ')
	}
	return append(b, c.Meta...)
}

// decode replaces c. It fails on what a later version, or nobody, wrote.
func (c *correlation) decode(s string) error {
	*c = correlation{}
	if len(s) < 2 || !strings.Contains(correlationVersions, s[:1]) || s[1] != ' ' {
		return fmt.Errorf("message id's value of unknown version %q", s[:min(len(s), 1)])
	}
	rest, ok := s[2:], true
	var parent, state string
	counted := [...]*string{&c.Producer, &c.JobID, &c.Route, &c.ID, &c.Via, &parent, &state}
	fields := counted[:4]
	switch s[:1] {
	case correlationVia:
		fields = counted[:5]
	case correlationTraced:
		fields = counted[:]
	}
	for _, field := range fields {
		if *field, rest, ok = cutCounted(rest); !ok {
			return fmt.Errorf("message id's value is malformed %d octets before its end", len(rest))
		}
	}
	var doubt int
	for _, field := range [...]*int{&c.Attempt, &doubt, &c.Part, &c.Total} {
		if *field, rest, ok = cutNumber(rest); !ok {
			return fmt.Errorf("message id's value is malformed %d octets before its end", len(rest))
		}
	}
	if s[:1] == correlationTraced {
		if err := c.decodeTrace(parent, state); err != nil {
			return err
		}
	}
	c.Doubt = doubt == 1
	if rest != "" {
		c.Meta = []byte(rest)
	}
	return nil
}

func (c *correlation) decodeTrace(parent, state string) error {
	t, ok := sms.ParseTrace(parent, state)
	if !ok {
		return fmt.Errorf("message id's value has a malformed traceparent")
	}
	c.Trace = &t
	return nil
}

// cutCounted takes "4:shop " off s. On failure rest is what could not be read.
func cutCounted(s string) (field, rest string, ok bool) {
	digits, after, found := strings.Cut(s, ":")
	n, err := strconv.Atoi(digits)
	if !found || err != nil || n < 0 || n >= len(after) || after[n] != ' ' {
		return "", s, false
	}
	return after[:n], after[n+1:], true
}

// cutNumber takes "17 " off s. On failure rest is what could not be read.
func cutNumber(s string) (n int, rest string, ok bool) {
	digits, after, found := strings.Cut(s, " ")
	n, err := strconv.Atoi(digits)
	if !found || err != nil {
		return 0, s, false
	}
	return n, after, true
}
