package dispatcher

import (
	"context"
	"sync"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// turnstile lets one job through at a time: the next in the most urgent lane
// that has credit, once a bind has window slots for it and the limiter has
// tokens. The choice is made when slot and tokens are there, not when the job
// arrives, so that high overtakes bulk at the very next slot.
//
// It has no goroutine: whoever changes something (a job arrives, a slot comes
// free, a token is due) turns it by calling turn.
type turnstile struct {
	binds   Binds
	limiter Limiter
	brake   Brake // the limiter, if it is one
	weights [laneCount]int
	waiters sync.Pool // of *waiter

	mu      sync.Mutex
	queues  [laneCount]fifo // guarded by mu
	credits [laneCount]int  // grants left in this round; guarded by mu
	resume  time.Time       // no tokens before this; guarded by mu
	timer   *time.Timer     // turns again; guarded by mu
	meter   limitMeter      // guarded by mu
	account accountPause    // guarded by mu
}

const laneCount = 3

// waiter is a job in front of the turnstile.
type waiter struct {
	n     int              // slots and tokens it needs
	ready chan Reservation // written by turn, once; read by wait
	gone  bool             // gave up; guarded by turnstile.mu
}

func newTurnstile(binds Binds, limiter Limiter, weights map[sms.Lane]int) *turnstile {
	t := &turnstile{binds: binds, limiter: limiter}
	t.brake, _ = limiter.(Brake)
	for i, lane := range sms.Lanes() {
		t.weights[i] = max(weights[lane], 1)
	}
	t.credits = t.weights
	t.waiters.New = func() any { return &waiter{ready: make(chan Reservation, 1)} }
	t.meter.start()
	return t
}

// wait blocks until the job may go and returns its window slots. n is at most
// the limiter's burst and the window of one bind. A job whose ctx has ended
// does not go, even when its turn came at the same moment.
func (t *turnstile) wait(ctx context.Context, lane sms.Lane, n int) (Reservation, error) {
	w := t.waiters.Get().(*waiter)
	w.n = n
	t.mu.Lock()
	t.queues[laneIndex(lane)].push(w)
	t.mu.Unlock()
	t.turn()

	select {
	case res := <-w.ready:
		t.waiters.Put(w) // it has left the queue; one that gives up stays there
		if ctx.Err() == nil {
			return res, nil
		}
		res.Release()
		return nil, context.Cause(ctx)
	case <-ctx.Done():
	}
	t.mu.Lock()
	granted := len(w.ready) > 0 // while giving up
	if !granted {
		t.queues[laneIndex(lane)].leave(w)
	}
	t.mu.Unlock()
	if granted {
		(<-w.ready).Release()
	}
	t.turn() // the next in line may fit where this one did not
	return nil, context.Cause(ctx)
}

// turn lets through as many jobs as slots and tokens allow.
func (t *turnstile) turn() {
	if unused := t.grant(); unused != nil {
		unused.Release() // notifies, and so turns again: t.resume ends that
	}
}

// grant does turn's work under the lock. A reservation that found no tokens
// is returned, to be released without the lock held.
func (t *turnstile) grant() (unused Reservation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.resume.IsZero() && time.Now().Before(t.resume) {
		return nil
	}
	if t.account.on {
		if wait := t.account.due(); wait > 0 {
			t.resume = time.Time{}
			t.remind(wait)
			return nil
		}
	}
	for {
		lane := t.next()
		if lane < 0 {
			t.limit(LimitNone)
			return nil
		}
		w := t.queues[lane].head()
		res, short := t.binds.Reserve(w.n)
		if res == nil {
			t.limit(short.Reason)
			t.resume = time.Time{} // another bind may come free before this one may send
			t.remind(short.Wait)
			return nil
		}
		if wait := t.limiter.Take(w.n); wait > 0 {
			if t.brake != nil && t.brake.Braking() {
				t.limit(LimitThrottled)
			} else {
				t.limit(LimitRate)
			}
			wait = min(wait, maxPause)
			t.resume = time.Now().Add(wait)
			t.remind(wait)
			return res
		}
		t.queues[lane].pop()
		t.credits[lane]--
		if t.account.on {
			t.account.probing = true
			w.ready <- &probe{Reservation: res, turnstile: t}
			return nil
		}
		w.ready <- res
	}
}

// limit notes what limits the route: nothing else counts while it is paused.
// Called with mu held.
func (t *turnstile) limit(l Limit) {
	if t.account.on {
		l = LimitAccount
	}
	t.meter.set(l)
}

// next chooses a lane by weight: the most urgent waiting lane that has credit
// left; when none has, a new round begins. It returns -1 when nobody waits.
// Called with mu held.
func (t *turnstile) next() int {
	waiting := -1
	for i := range t.queues {
		if t.queues[i].head() == nil {
			continue
		}
		if t.credits[i] > 0 {
			return i
		}
		if waiting < 0 {
			waiting = i
		}
	}
	if waiting >= 0 {
		t.credits = t.weights
	}
	return waiting
}

// maxPause bounds every wait, so that nothing that a limiter says, or a rate that
// is raised meanwhile, can stop a route for good.
const maxPause = 10 * time.Second

// remind turns again after d; with d zero somebody else will. Called with mu held.
func (t *turnstile) remind(d time.Duration) {
	if d <= 0 {
		return
	}
	d = min(d, maxPause)
	if t.timer == nil {
		t.timer = time.AfterFunc(d, t.turn)
		return
	}
	t.timer.Reset(d)
}

// stop ends the timer.
func (t *turnstile) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
	}
}

// waiting counts the jobs in front of the turnstile by lane.
func (t *turnstile) waiting() map[sms.Lane]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := make(map[sms.Lane]int, laneCount)
	for i, lane := range sms.Lanes() {
		m[lane] = t.queues[i].len()
	}
	return m
}

// limits says what limits the route now, and for how long each limit held so far.
func (t *turnstile) limits() (Limit, map[Limit]time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.meter.read()
}

func laneIndex(lane sms.Lane) int {
	switch lane {
	case sms.LaneHigh:
		return 0
	case sms.LaneNormal:
		return 1
	}
	return 2
}

// fifo is a queue of waiters; those who are gone are dropped when they reach
// its head, or when they are most of it: the head may stand for hours.
type fifo struct {
	items []*waiter
	first int
	gone  int // of items[first:]
}

// fewGone is how many who are gone are let be.
const fewGone = 64

func (q *fifo) push(w *waiter) { q.items = append(q.items, w) }

// leave notes that a waiter in the queue gives up.
func (q *fifo) leave(w *waiter) {
	w.gone = true
	if q.gone++; q.gone < fewGone || 2*q.gone < len(q.items)-q.first {
		return
	}
	stay := q.items[:0]
	for _, w := range q.items[q.first:] {
		if !w.gone {
			stay = append(stay, w)
		}
	}
	clear(q.items[len(stay):])
	q.items, q.first, q.gone = stay, 0, 0
}

func (q *fifo) head() *waiter {
	for q.first < len(q.items) {
		if w := q.items[q.first]; !w.gone {
			return w
		}
		q.pop()
		q.gone--
	}
	return nil
}

func (q *fifo) pop() {
	q.items[q.first] = nil
	q.first++
	if q.first == len(q.items) {
		q.items, q.first = q.items[:0], 0
	} else if q.first >= 1024 && q.first*2 >= len(q.items) {
		n := copy(q.items, q.items[q.first:])
		clear(q.items[n:])
		q.items, q.first = q.items[:n], 0
	}
}

func (q *fifo) len() int { return len(q.items) - q.first - q.gone }

// limitMeter adds up how long each limit held.
type limitMeter struct {
	now   Limit
	since time.Time
	spent map[Limit]time.Duration
}

func (m *limitMeter) start() {
	m.now, m.since, m.spent = LimitNone, time.Now(), make(map[Limit]time.Duration)
}

func (m *limitMeter) set(l Limit) {
	if l == m.now {
		return
	}
	at := time.Now()
	m.spent[m.now] += at.Sub(m.since)
	m.now, m.since = l, at
}

func (m *limitMeter) read() (Limit, map[Limit]time.Duration) {
	all := make(map[Limit]time.Duration, len(m.spent)+1)
	for l, d := range m.spent {
		all[l] = d
	}
	all[m.now] += time.Since(m.since)
	return m.now, all
}
