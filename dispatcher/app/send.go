package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/sms/publish"
	"github.com/shortwire-sms/shortwire/dispatcher/spell"
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
	job := publish.Job{Route: req.Origin.Route, Lane: req.Origin.Lane, Job: req.Job}
	if err := checkSend(cfg, req.Origin, job); err != nil {
		return err
	}
	client, err := dial(ctx, cfg, "shortwire send")
	if err != nil {
		return err
	}
	defer client.Close()
	p, err := publish.New(client.Conn(), publish.Config{Producer: req.Origin.Producer, Subjects: client.Subjects()})
	if err != nil {
		return err
	}
	ack, err := p.Send(ctx, job)
	if err != nil {
		return natsFault(ctx, err)
	}
	if events.Published != nil {
		events.Published(ack.Duplicate)
	}
	if !req.Wait {
		return nil
	}
	mode := req.Job.Receipt
	if route, ok := cfg.Route(req.Origin.Route); ok && mode == "" {
		mode = route.Receipt
	}
	so := progress{receipts: mode == sms.ReceiptFinal || mode == sms.ReceiptAll}
	err = p.Results(ctx, ack, func(r *sms.Result) bool {
		if events.Result != nil {
			events.Result(r)
		}
		so.add(r)
		return !so.done()
	})
	if err != nil {
		return natsFault(ctx, err)
	}
	return so.verdict()
}

// checkSend reports everything that is wrong with the job and where it is to
// go, the route by the configuration.
func checkSend(cfg *Config, origin sms.Origin, job publish.Job) error {
	var faults sms.Faults
	if _, ok := cfg.Route(origin.Route); !ok {
		faults = append(faults, unknownRoute(cfg, origin.Route))
	}
	if !sms.ValidToken(origin.Producer) {
		faults = append(faults, sms.Fault{Field: "producer", Reason: "must be 1..32 of A-Z a-z 0-9 _ -"})
	}
	var wrong sms.Faults
	if err := publish.Check(job); errors.As(err, &wrong) {
		for _, f := range wrong {
			if f.Field != "route" { // the configuration knows better
				faults = append(faults, f)
			}
		}
	}
	if len(faults) > 0 {
		return &sms.Error{Op: "check job", Code: sms.CodeInvalid, Err: faults}
	}
	return nil
}

func unknownRoute(cfg *Config, name string) sms.Fault {
	return sms.Fault{Field: "route", Reason: fmt.Sprintf("%q is not configured%s", name, spell.Hint(name, routeNames(cfg)))}
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
		return &NotDeliveredError{publish.ErrNoOutcome.Error()}
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
