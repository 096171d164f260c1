package dispatcher

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Fault is one attempt at a job that did not end well, fit to be shown: it has
// no text, and no number but masked ones.
type Fault struct {
	Time       time.Time
	Route      string   // that carried it
	Producer   string   //
	JobID      string   // empty when the job does not name itself
	To         string   // masked; empty when the job cannot be read
	Attempt    int      //
	Code       sms.Code //
	Status     uint32   // command_status, 0 when the SMSC did not say
	StatusName string
	Reason     string
	Next       time.Time // of another attempt; zero: there is none
	End        sms.Kind  // how the job ended; empty while there is another attempt
}

// faultsKept is how many faults of a route are remembered.
const faultsKept = 50

// faults is the last faults of a route. Jobs that end well never come here.
type faults struct {
	mu  sync.Mutex
	all [faultsKept]Fault // guarded by mu; a ring
	n   int               // guarded by mu; how many there were
}

func (f *faults) add(one *Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all[f.n%faultsKept] = *one
	f.n++
}

// last returns them, the latest first.
func (f *faults) last() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]Fault, 0, min(f.n, faultsKept))
	for i := f.n - 1; i >= 0 && i >= f.n-faultsKept; i-- {
		list = append(list, f.all[i%faultsKept])
	}
	return list
}

// Faults returns the last faults of the route, the latest first.
func (d *Dispatcher) Faults() []Fault { return d.faults.last() }

// failed remembers a job that ended otherwise than submitted.
func (d *Dispatcher) failed(a *attempt) {
	r := a.outcome
	if r.Code == "" {
		return
	}
	d.fault(&Fault{
		Time: r.Time, Route: a.ref.Carrier(), Producer: r.Producer, JobID: r.JobID, To: d.to(a), Attempt: r.Attempt, Code: r.Code,
		Status: r.Status, StatusName: r.StatusName, Reason: r.Reason, End: r.Kind,
	})
}

// refused remembers an attempt that another follows.
func (d *Dispatcher) refused(a *attempt, next time.Time) {
	e := a.refusal
	d.fault(&Fault{
		Time: time.Now(), Route: a.ref.Carrier(), Producer: a.ref.Producer, JobID: a.ref.JobID, To: d.to(a), Attempt: a.ref.Attempt, Code: e.Code,
		Status: e.Status, StatusName: e.StatusName, Reason: e.Error(), Next: next,
	})
}

// fault remembers a fault, and logs it where somebody looks for one: there may be
// as many as there are jobs.
func (d *Dispatcher) fault(f *Fault) {
	d.faults.add(f)
	if d.log.Enabled(context.Background(), slog.LevelDebug) {
		d.log.Debug("attempt failed", "producer", f.Producer, "job_id", f.JobID, "to", f.To, "attempt", f.Attempt, "code", f.Code, "err", f.Reason)
	}
}

// to is the job's destination, fit to be shown.
func (d *Dispatcher) to(a *attempt) string {
	if a.job == nil {
		return ""
	}
	return d.deps.Mask(a.job.To)
}
