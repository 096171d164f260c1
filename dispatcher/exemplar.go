package dispatcher

import (
	"sync"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/latency"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Exemplar is a traced submit, beside the latencies of all.
type Exemplar struct {
	Trace   *sms.Trace // of the submit
	Latency time.Duration
	Time    time.Time
}

// exemplars is the last of each power of two of microseconds.
type exemplars struct {
	mu   sync.Mutex
	last [latency.Octaves]Exemplar // guarded by mu
}

func (e *exemplars) add(one Exemplar) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last[latency.Octave(one.Latency)] = one
}

// Exemplars returns traced submits, at most one for each octave of latencies.
func (d *Dispatcher) Exemplars() []Exemplar {
	e := &d.stats.exemplars
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []Exemplar
	for _, one := range e.last {
		if one.Trace != nil {
			all = append(all, one)
		}
	}
	return all
}
