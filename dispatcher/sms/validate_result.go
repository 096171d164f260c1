package sms

import "slices"

// Terminal reports whether the kind is an outcome: every job has exactly one.
func (k Kind) Terminal() bool {
	switch k {
	case KindSubmitted, KindFailed, KindExpired, KindUncertain:
		return true
	}
	return false
}

// Kinds lists every Kind, the terminal ones first.
func Kinds() []Kind {
	return []Kind{KindSubmitted, KindFailed, KindExpired, KindUncertain, KindReceipt}
}

// States lists every State by its SMPP number, 0 to 9 (SMPP 5.0 §4.7.15).
func States() []State {
	return []State{StateScheduled, StateEnroute, StateDelivered, StateExpired, StateDeleted,
		StateUndeliverable, StateAccepted, StateUnknown, StateRejected, StateSkipped}
}

// Validate checks that the result holds what its kind promises and nothing of
// other kinds. The error is an *Error with CodeInvalid around Faults.
func (r *Result) Validate() error {
	var f Faults
	if r.ID == "" {
		f.add("id", "must be given")
	}
	if !ValidToken(r.Producer) {
		f.add("producer", "must be 1..32 of A-Z a-z 0-9 _ -, is %s", quote(r.Producer))
	}
	if !ValidToken(r.Route) {
		f.add("route", "must be 1..32 of A-Z a-z 0-9 _ -, is %s", quote(r.Route))
	}
	if r.Via != "" && (!ValidToken(r.Via) || r.Via == r.Route) {
		f.add("via", "must be another route, is %s", quote(r.Via))
	}
	if r.Time.IsZero() {
		f.add("time", "must be given")
	}
	for i, p := range r.Parts {
		if p.Number < 1 || p.Number > 255 || i > 0 && p.Number <= r.Parts[i-1].Number {
			f.add("parts", "must be numbered 1..255, rising")
		}
	}
	switch {
	case r.Kind.Terminal():
		r.checkOutcome(&f)
	case r.Kind == KindReceipt:
		r.checkReceipt(&f)
	default:
		f.add("kind", "must be one of submitted, failed, expired, uncertain, receipt, is %s", quote(string(r.Kind)))
	}
	return f.err("validate result")
}

func (r *Result) checkOutcome(f *Faults) {
	if !validID(r.JobID) {
		f.add("job_id", "must be 1..%d of A-Z a-z 0-9 . _ ~ -, is %s", maxIDChars, quote(r.JobID))
	}
	if r.Receipt != nil {
		f.add("message_id", "must not be given in an outcome")
	}
	if r.Kind == KindSubmitted {
		if len(r.Parts) == 0 {
			f.add("parts", "must be given")
		}
		if r.Code != "" {
			f.add("code", "must not be given in submitted")
		}
		return
	}
	if r.Reason == "" {
		f.add("reason", "must be given")
	}
	if r.Kind == KindFailed || r.Code != "" {
		oneOf(f, "code", r.Code, Codes()...)
	}
	if r.Kind == KindFailed && r.Code == "" {
		f.add("code", "must be given")
	}
}

func (r *Result) checkReceipt(f *Faults) {
	if r.Producer != UnmatchedProducer && !validID(r.JobID) {
		f.add("job_id", "must be 1..%d of A-Z a-z 0-9 . _ ~ -, is %s", maxIDChars, quote(r.JobID))
	}
	if r.Receipt == nil {
		f.add("state", "must be given")
		return
	}
	if !slices.Contains(States(), r.Receipt.State) {
		f.add("state", "must be a message state, is %s", quote(string(r.Receipt.State)))
	}
	oneOf(f, "job_state", r.JobState, States()...)
	if len(r.Parts) > 0 {
		f.add("parts", "must not be given in a receipt")
	}
}
