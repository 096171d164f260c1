package receipts

import (
	"errors"
	"log/slog"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Tracer makes spans of receipts. It never blocks.
type Tracer interface {
	// Follow begins the span of a receipt whose job's submit is a span: the
	// result's Trace is to be its Child(1).
	Follow(submit *sms.Trace) *sms.Trace
	// Received hears of the end.
	Received(v *Visit)
}

// Visit is a receipt, whose job is traced, on its way to its result.
type Visit struct {
	Trace      *sms.Trace  // its span
	Submit     *sms.Trace  // the span of the submit that it is about
	Result     *sms.Result // as published; its Time is when the receipt came
	Publishing time.Time   // since when
	Ended      time.Time
	Err        error // it was not published in time, and will come again
}

// follow has a receipt carry the trace of its job, if that is traced. The visit
// is nil when there is no span to make.
func (d *Desk) follow(owner *correlation, res *sms.Result) *Visit {
	switch {
	case owner.Trace == nil:
		return nil
	case d.tracer == nil:
		res.Trace = owner.Trace
		return nil
	}
	v := &Visit{Trace: d.tracer.Follow(owner.Trace), Submit: owner.Trace, Result: res, Publishing: time.Now()}
	res.Trace = v.Trace.Child(1)
	return v
}

// visited ends a visit with how the publishing ended, which it returns.
func (d *Desk) visited(v *Visit, res *sms.Result, err error) error {
	if v != nil {
		v.Ended, v.Err = time.Now(), err
		d.tracer.Received(v)
	}
	if err != nil && res.Trace != nil {
		return &tracedError{err, res.Trace}
	}
	return err
}

// tracedError tells whoever logs it of which trace it is.
type tracedError struct {
	error
	trace *sms.Trace
}

func (e *tracedError) Unwrap() error { return e.error }

// traceOf is what a log line says of the trace of an error.
func traceOf(err error) slog.Attr {
	if e, ok := errors.AsType[*tracedError](err); ok {
		return e.trace.Attr()
	}
	return slog.Attr{}
}
