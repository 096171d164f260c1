package smsctest

import (
	"sync"
	"time"
)

// event is something that happens later: a delayed answer, a delivery that
// falls due, or a call.
type event struct {
	ans  *answer
	d    *delivery
	call func()
}

type scheduled struct {
	at    int64  // nanoseconds since the scheduler's epoch
	order uint64 // of scheduling, so that equal times keep their order
	ev    event
}

// scheduler runs events in order of time, all that are due in one batch, so
// that answers to a connection coalesce into one write.
type scheduler struct {
	epoch time.Time
	fire  func([]event)
	wake  chan struct{} // capacity 1; whoever schedules an earlier event writes, run reads
	stop  chan struct{} // closed by SMSC.Close

	mu    sync.Mutex
	heap  []scheduled // guarded by mu
	order uint64      // guarded by mu
}

func newScheduler(fire func([]event)) *scheduler {
	return &scheduler{epoch: time.Now(), fire: fire, wake: make(chan struct{}, 1), stop: make(chan struct{})}
}

func (s *scheduler) after(d time.Duration, ev event) {
	at := int64(time.Since(s.epoch) + d)
	s.mu.Lock()
	s.order++
	s.heap = append(s.heap, scheduled{at: at, order: s.order, ev: ev})
	s.up(len(s.heap) - 1)
	first := s.heap[0].order == s.order
	s.mu.Unlock()
	if first {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

func (s *scheduler) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var due []event
	for {
		var next time.Duration
		due, next = s.due(due[:0])
		if len(due) > 0 {
			s.fire(due)
			clear(due)
			continue
		}
		var c <-chan time.Time // stays nil, and so silent, with nothing to wait for
		if next > 0 {
			timer.Reset(next)
			c = timer.C
		}
		select {
		case <-c:
		case <-s.wake:
		case <-s.stop:
			return
		}
	}
}

// due takes off what is due, at most a batch, and says how long until the
// next; 0 when there is none.
func (s *scheduler) due(out []event) ([]event, time.Duration) {
	now := int64(time.Since(s.epoch))
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.heap) > 0 && s.heap[0].at <= now && len(out) < 1024 {
		out = append(out, s.heap[0].ev)
		last := len(s.heap) - 1
		s.heap[0] = s.heap[last]
		s.heap[last] = scheduled{}
		s.heap = s.heap[:last]
		s.down(0)
	}
	if len(s.heap) == 0 {
		return out, 0
	}
	return out, max(time.Duration(s.heap[0].at-now), 1)
}

func (s *scheduler) less(i, j int) bool {
	a, b := &s.heap[i], &s.heap[j]
	return a.at < b.at || a.at == b.at && a.order < b.order
}

func (s *scheduler) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !s.less(i, parent) {
			return
		}
		s.heap[i], s.heap[parent] = s.heap[parent], s.heap[i]
		i = parent
	}
}

func (s *scheduler) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(s.heap) {
			return
		}
		if child+1 < len(s.heap) && s.less(child+1, child) {
			child++
		}
		if !s.less(child, i) {
			return
		}
		s.heap[i], s.heap[child] = s.heap[child], s.heap[i]
		i = child
	}
}
