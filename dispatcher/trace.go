package dispatcher

import (
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Tracer makes spans of jobs. It never blocks.
type Tracer interface {
	// Sample decides whether a job is traced. parent is the context that its
	// producer sent, the zero value when there is none. It returns that of the
	// job's span, nil when the job is not.
	Sample(parent sms.Trace) *sms.Trace
	// Handled hears of the end of an attempt at a job that is.
	Handled(j *Journey)
}

// Children of a job's span, beside the submits: Child(n) is that of part n.
const SpanPublish = 0x100 // of the outcome

// Journey is an attempt at a job that is traced. Only times are taken on the
// way; spans are made of them at its end.
type Journey struct {
	Parent  sms.Trace // the producer's; zero: none
	Ref     sms.JobRef
	Origin  sms.Origin
	Stored  time.Time // when the server stored the delivery; zero: not known
	Began   time.Time
	Stages  []Stage
	Parts   int         // of the job
	Outcome *sms.Result // that is durable, at the end; nil: another attempt follows, or the job is handed back
	Retry   time.Time   // when the next attempt is due; zero: none was stored
	Ended   time.Time

	limits map[Limit]time.Duration // when the wait began
}

// Stage is a step of an attempt.
type Stage struct {
	Name   StageName
	From   time.Time
	To     time.Time
	Part   int                     // of a submit
	Bind   string                  // of a submit
	Route  string                  // that carries it, of a wait or submit
	Limits map[Limit]time.Duration // of a wait: how long each limit held meanwhile
	Err    error
}

// StageName names a step of an attempt.
type StageName string

// Stages.
const (
	StageWait    StageName = "wait" // for lane, window and rate
	StageClaim   StageName = "claim"
	StageSubmit  StageName = "submit" // of one part, up to its answer
	StageRecord  StageName = "record"
	StagePublish StageName = "publish"
)

// traced begins the journey of a job that is to be traced. Without a tracer
// the trace of its producer is handed on.
func (d *Dispatcher) traced(a *attempt) {
	parent, _ := sms.ParseTrace(header(a.del, sms.HeaderTraceParent, "Traceparent"), header(a.del, sms.HeaderTraceState, "Tracestate"))
	switch t := d.deps.Tracer; {
	case t != nil:
		if a.ref.Trace = t.Sample(parent); a.ref.Trace != nil {
			a.journey = &Journey{Parent: parent, Origin: a.del.Origin(), Stored: a.del.Stored(), Began: time.Now()}
		}
	case parent.Sampled():
		handedOn := parent // only this one is allocated
		a.ref.Trace = &handedOn
	}
}

// header reads a header that producers in Go write in the canonical form of
// HTTP when they use that one's carrier. NATS tells the two apart.
func header(del Delivery, name, canonical string) string {
	if v := del.Header(name); v != "" {
		return v
	}
	return del.Header(canonical)
}

// at is when the last stage ended.
func (j *Journey) at() time.Time {
	if n := len(j.Stages); n > 0 {
		return j.Stages[n-1].To
	}
	return j.Began
}

// passed notes the end of a stage that began with the end of the one before.
// Like all that follow, it does nothing for a job that is not traced.
func (j *Journey) passed(name StageName, err error) {
	if j != nil {
		j.Stages = append(j.Stages, Stage{Name: name, From: j.at(), To: time.Now(), Err: err})
	}
}

// waits notes what limited the route before the job came to its turnstile.
func (j *Journey) waits(t *turnstile) {
	if j != nil {
		_, j.limits = t.limits()
	}
}

func (j *Journey) waited(out *Dispatcher, err error) {
	if j == nil {
		return
	}
	j.passed(StageWait, err)
	_, held := out.turnstile.limits()
	for l, d := range held {
		if held[l] = d - j.limits[l]; held[l] <= 0 {
			delete(held, l)
		}
	}
	s := &j.Stages[len(j.Stages)-1]
	s.Route, s.Limits = out.route, held
}

// answered notes the fate of a part, and shows a job that is traced beside the
// others' latencies.
func (j *Journey) answered(a *attempt, r *sms.Reply) {
	if j == nil {
		return
	}
	now := time.Now()
	j.Stages = append(j.Stages, Stage{
		Name: StageSubmit, From: now.Add(-r.Latency), To: now, Part: r.Part, Bind: r.Bind, Route: a.out.route, Err: r.Err,
	})
	if r.Err == nil {
		a.out.stats.exemplars.add(Exemplar{Trace: a.ref.Trace.Child(r.Part), Latency: r.Latency, Time: now})
	}
}

func (j *Journey) settled(outcome *sms.Result) {
	if j != nil {
		j.Outcome = outcome
	}
}

func (j *Journey) retried(at time.Time) {
	if j != nil {
		j.Retry = at
	}
}

// traceEnds tells of the job, whatever became of it.
func (d *Dispatcher) traceEnds(a *attempt) {
	j := a.journey
	if j == nil {
		return
	}
	j.Ref, j.Parts, j.Ended = a.ref, a.total, time.Now()
	d.deps.Tracer.Handled(j)
}
