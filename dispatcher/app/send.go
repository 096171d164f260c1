package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/internal/jetstream"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// How far back results are looked for: the clocks of this machine and of the
// server may differ, and a job that was dropped as a repeat has its outcome
// from within the job stream's dedup window of five minutes.
const (
	clockSkew   = time.Minute
	dedupWindow = 6 * time.Minute
)

// SendRequest is one job and where it goes.
type SendRequest struct {
	Origin sms.Origin
	Job    sms.Job
	Wait   bool // follow the results to the final receipt of every part
}

// SendEvents hears of what happens. Both may be nil.
type SendEvents struct {
	Published func(duplicate bool) // stored, or dropped as a repeat of the same id
	Result    func(*sms.Result)    // each result of the job, with Wait
}

// NotDeliveredError says that a job which was waited for did not succeed.
type NotDeliveredError struct {
	Reason string
}

// Error implements error.
func (e *NotDeliveredError) Error() string { return e.Reason }

// Send checks the job, publishes it and, with Wait, follows its results. A
// job or an origin that is wrong is an *sms.Error with CodeInvalid; a job
// that did not succeed, or not before ctx ended, a *NotDeliveredError.
func Send(ctx context.Context, cfg *Config, req SendRequest, events SendEvents) error {
	if err := checkSend(cfg, &req); err != nil {
		return err
	}
	body, err := json.Marshal(&req.Job)
	if err != nil {
		return fmt.Errorf("encode job: %w", err)
	}
	client, err := dial(ctx, cfg, "shortwire send")
	if err != nil {
		return err
	}
	defer client.Close()
	since := time.Now()
	duplicate, err := client.PublishJob(ctx, req.Origin, body, req.Job.ID)
	if err != nil {
		return natsFault(ctx, err)
	}
	if events.Published != nil {
		events.Published(duplicate)
	}
	if !req.Wait {
		return nil
	}
	since = since.Add(-clockSkew)
	if duplicate {
		since = since.Add(-dedupWindow)
	}
	mode := req.Job.Receipt
	if route, ok := cfg.Route(req.Origin.Route); ok && mode == "" {
		mode = route.Receipt
	}
	return await(ctx, client, req, since, &progress{receipts: mode == sms.ReceiptFinal || mode == sms.ReceiptAll}, events.Result)
}

func checkSend(cfg *Config, req *SendRequest) error {
	var faults sms.Faults
	if _, ok := cfg.Route(req.Origin.Route); !ok {
		faults = append(faults, unknownRoute(cfg, req.Origin.Route))
	}
	if !req.Origin.Lane.Valid() {
		faults = append(faults, sms.Fault{Field: "lane", Reason: fmt.Sprintf("must be one of high, normal, bulk, is %q", req.Origin.Lane)})
	}
	if !sms.ValidToken(req.Origin.Producer) {
		faults = append(faults, sms.Fault{Field: "producer", Reason: "must be 1..32 of A-Z a-z 0-9 _ -"})
	}
	var wrong sms.Faults
	if err := req.Job.Validate(); errors.As(err, &wrong) {
		faults = append(faults, wrong...)
	}
	if len(faults) > 0 {
		return &sms.Error{Op: "check job", Code: sms.CodeInvalid, Err: faults}
	}
	return nil
}

func unknownRoute(cfg *Config, name string) sms.Fault {
	reason := fmt.Sprintf("%q is not configured", name)
	if near := nearest(name, routeNames(cfg)); near != "" {
		reason += "; did you mean " + near + "?"
	}
	return sms.Fault{Field: "route", Reason: reason}
}

// await follows the job's results until they say how it ended.
func await(ctx context.Context, client *jetstream.Client, req SendRequest, since time.Time, p *progress, heard func(*sms.Result)) error {
	filter := jetstream.Filter{Producer: req.Origin.Producer, Route: req.Origin.Route, JobID: req.Job.ID, Since: since}
	err := client.Tail(ctx, filter, func(r *sms.Result) bool {
		if heard != nil {
			heard(r)
		}
		p.add(r)
		return !p.done()
	})
	if err != nil {
		return natsFault(ctx, err)
	}
	return p.verdict()
}

// progress is what the results of a job have said so far, in any order: a
// receipt may come before the outcome.
type progress struct {
	receipts bool // final receipts were asked for
	outcome  *sms.Result
	final    map[int]sms.State // by part
}

func (p *progress) add(r *sms.Result) {
	switch {
	case r.Kind.Terminal():
		p.outcome = r
	case r.Receipt != nil && r.Final:
		if p.final == nil {
			p.final = make(map[int]sms.State)
		}
		p.final[max(r.Part, 1)] = r.State
	}
}

func (p *progress) done() bool {
	switch {
	case p.outcome == nil:
		return false
	case p.outcome.Kind != sms.KindSubmitted || !p.receipts:
		return true
	}
	return len(p.final) >= len(p.outcome.Parts)
}

// verdict is nil when the job succeeded.
func (p *progress) verdict() error {
	switch {
	case p.outcome == nil:
		return &NotDeliveredError{"no outcome yet; the job stays with the workers"}
	case p.outcome.Kind != sms.KindSubmitted:
		return &NotDeliveredError{"the job ended as " + string(p.outcome.Kind)}
	case !p.done():
		return &NotDeliveredError{fmt.Sprintf("%d of %d final receipts so far; more may come, see shortwire tail", len(p.final), len(p.outcome.Parts))}
	}
	for part, state := range p.final {
		if state != sms.StateDelivered {
			return &NotDeliveredError{fmt.Sprintf("part %d ended as %s", part, state)}
		}
	}
	return nil
}
