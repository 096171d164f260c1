package receipts

import (
	"errors"
	"log/slog"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Tracer makes spans of receipts and of messages from handsets. It never blocks.
type Tracer interface {
	// Follow begins the span of a receipt whose job's submit is a span: the
	// result's Trace is to be its Child(1).
	Follow(submit *sms.Trace) *sms.Trace
	// Received hears of the end.
	Received(v *Visit)
	// Sample begins the span of a message from a handset, which has no parent: the
	// message's Trace is to be its Child(1). It is nil when that is not traced.
	Sample(parent sms.Trace) *sms.Trace
	// Arrived hears of the end.
	Arrived(a *Arrival)
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

// Arrival is a message from a handset, which is traced, on its way to its stream.
type Arrival struct {
	Trace      *sms.Trace   // its span
	Message    *sms.Inbound // as published; its Time is when it came, or its first part
	Publishing time.Time    // since when
	Ended      time.Time
	Err        error // it was not published in time
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
	return withTrace(err, res.Trace)
}

// arrives begins the span of a message from a handset; it is nil when there is
// none to make.
func (d *Desk) arrives(in *sms.Inbound) *Arrival {
	if d.tracer == nil {
		return nil
	}
	span := d.tracer.Sample(sms.Trace{})
	if span == nil {
		return nil
	}
	in.Trace = span.Child(1)
	return &Arrival{Trace: span, Message: in, Publishing: time.Now()}
}

// arrived ends an arrival with how the publishing ended, which it returns.
func (d *Desk) arrived(a *Arrival, err error) error {
	if a == nil {
		return err
	}
	a.Ended, a.Err = time.Now(), err
	d.tracer.Arrived(a)
	return withTrace(err, a.Message.Trace)
}

func withTrace(err error, t *sms.Trace) error {
	if err != nil && t != nil {
		return &tracedError{err, t}
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
