package app

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// How a worker asks the others.
const (
	fleetWait   = 300 * time.Millisecond // for answers
	fleetEvery  = time.Second            // what was asked later than this ago is shown again
	fleetMissed = 5 * time.Minute        // for so long a worker that answers no more is listed
)

// FleetStatus is the state of all workers on the same NATS and subject prefix.
type FleetStatus struct {
	Asked   string          `json:"asked"`           // worker that asked the others
	Time    time.Time       `json:"time"`            // when it did
	Error   string          `json:"error,omitempty"` // why others may be missing
	Workers []Status        `json:"workers"`         // by name; without their errors
	Missing []MissingWorker `json:"missing"`         // have answered, and do not any more
}

// MissingWorker is a worker that answered of late and does not now: it ended,
// or is in trouble.
type MissingWorker struct {
	Worker string    `json:"worker"`
	Last   time.Time `json:"last"` // when it answered
}

// fleetBoard is what a worker knows of the others, as of when somebody wanted
// to know.
type fleetBoard struct {
	asking sync.Mutex // held by who asks; the others wait for the answer

	mu    sync.Mutex
	last  FleetStatus          // guarded by mu; replaced as a whole
	heard map[string]time.Time // guarded by mu; when each worker answered last
}

// Fleet asks all workers how they are, this one included.
func (a *App) Fleet(ctx context.Context) FleetStatus {
	own := a.Status()
	p := a.up.Load()
	if p == nil {
		return FleetStatus{Asked: own.Worker, Time: time.Now(), Error: "this worker is starting", Workers: []Status{own}, Missing: []MissingWorker{}}
	}
	b := &p.fleet
	b.asking.Lock()
	defer b.asking.Unlock()
	b.mu.Lock()
	last := b.last
	b.mu.Unlock()
	if time.Since(last.Time) < fleetEvery {
		return last
	}
	f := FleetStatus{Asked: own.Worker, Time: time.Now()}
	answers, err := p.nats.AskStatus(ctx, fleetWait)
	switch {
	case !p.nats.Connected():
		f.Error = "NATS is away"
	case err != nil:
		f.Error = err.Error()
	}
	f.Workers = readAnswers(answers, &own)
	b.note(&f)
	return f
}

// readAnswers reads what workers answered; own stands for this one, whatever
// came of it. What is no status is left out.
func readAnswers(answers [][]byte, own *Status) []Status {
	own.shorten()
	all := []Status{*own}
	for _, b := range answers {
		var s Status
		if json.Unmarshal(b, &s) == nil && s.Worker != "" && s.Worker != own.Worker {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b Status) int { return cmp.Compare(a.Worker, b.Worker) })
	return all
}

// note fills in who is missing, and keeps f.
func (b *fleetBoard) note(f *FleetStatus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.heard == nil {
		b.heard = make(map[string]time.Time)
	}
	for i := range f.Workers {
		b.heard[f.Workers[i].Worker] = f.Time
	}
	f.Missing = []MissingWorker{}
	for worker, at := range b.heard {
		switch {
		case f.Time.Sub(at) > fleetMissed:
			delete(b.heard, worker)
		case at.Before(f.Time):
			f.Missing = append(f.Missing, MissingWorker{worker, at})
		}
	}
	slices.SortFunc(f.Missing, func(a, b MissingWorker) int { return cmp.Compare(a.Worker, b.Worker) })
	b.last = *f
}

// shorten leaves out of a status that is nobody else's what is long and not for
// all to carry.
func (s *Status) shorten() {
	s.Errors, s.CodeMeanings, s.Notices = nil, nil, nil
	for i := range s.Routes {
		r := &s.Routes[i]
		r.LimitedFor = nil
		for j := range r.Binds {
			r.Binds[j].Entered = nil
		}
	}
}

// shortStatus is what this worker answers the others.
func (a *App) shortStatus() []byte {
	s := a.Status()
	s.shorten()
	b, err := json.Marshal(s)
	if err != nil {
		a.log.Error("status not encoded", "err", err)
	}
	return b
}
