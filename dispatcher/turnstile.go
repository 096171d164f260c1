package dispatcher

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// turnstile lets one job through at a time: the next in the most urgent lane
// that has credit, once a bind has window slots for it and the limiter has
// tokens. The choice is made when slot and tokens are there, not when the job
// arrives, so that high overtakes bulk at the very next slot. Within a lane
// producers take turns.
//
// Credit is in parts, since slots and tokens are. A lane that waits for less
// than its share saves credit, so what high sends now and then goes first
// however much it is; only a lane that has used up more than its share lets a
// less urgent one go before.
//
// It has no goroutine: whoever changes something (a job arrives, a slot comes
// free, a token is due) turns it by calling turn.
type turnstile struct {
	binds   Binds
	limiter Limiter
	fleet   FleetLimiter // the limiter, if it is one
	waiters sync.Pool    // of *waiter

	mu      sync.Mutex
	weights [laneCount]int       // guarded by mu
	most    int                  // parts that may go at once; guarded by mu
	late    []*waiter            // need tokens once more; guarded by mu
	closed  [laneCount]bool      // paused by an operator; guarded by mu
	ended   bool                 // no jobs of other routes any more; guarded by mu
	away    bool                 // none of its own, for now; guarded by mu
	queues  [laneCount]laneQueue // guarded by mu
	credits [laneCount]int       // parts that may go before a less urgent lane's; guarded by mu
	stalled *waiter              // found no tokens; guarded by mu
	resume  time.Time            // none for it before this; guarded by mu
	timer   *time.Timer          // turns again; guarded by mu
	meter   limitMeter           // guarded by mu
	seen    Limit                // what it is but for strain; guarded by mu
	strain  Strain               // guarded by mu
	crowded bool                 // slots or binds were short since demand was asked; guarded by mu
	account accountPause         // guarded by mu
}

const (
	laneCount = 3
	laneHigh  = 0 // its index
)

// savings is how many rounds' credit a lane may save.
const savings = 16

// waiter is a job in front of the turnstile.
type waiter struct {
	n     int       // slots and tokens it needs; lowered by turn, before ready, when fewer may go
	until time.Time // when its tokens are too old to be spent; zero on an unlimited route; written by turn, before ready
	of    caller
	queue *producerQueue   // where it waits
	ready chan Reservation // written by turn or move, once; read by wait
	gone  bool             // gave up; guarded by turnstile.mu
}

func newTurnstile(binds Binds, limiter Limiter, weights map[sms.Lane]int) *turnstile {
	t := &turnstile{binds: binds, limiter: limiter, most: math.MaxInt, seen: LimitNone}
	t.fleet, _ = limiter.(FleetLimiter)
	t.weights = laneWeights(weights)
	t.credits = t.weights
	t.waiters.New = func() any { return &waiter{ready: make(chan Reservation, 1)} }
	t.meter.start()
	return t
}

// caller says whose job waits.
type caller struct {
	route *Dispatcher // of the job; nil for a job that is never moved
	begun bool        // something of it is at the SMSC, or may be
	place uint64      // in the order in which jobs came
	again bool        // it was here before: it goes before those that came after it
}

// pass is what a job gets at the turnstile.
type pass struct {
	turn  Reservation // nil when the job is moved
	parts int         // that may go
	until time.Time   // when their tokens are too old to be spent; zero on an unlimited route
}

// wait is waitFor, of a job that is never moved.
func (t *turnstile) wait(ctx context.Context, lane sms.Lane, producer string, n int) (Reservation, int, error) {
	p, err := t.waitFor(ctx, lane, producer, n, caller{})
	return p.turn, p.parts, err
}

// waitFor blocks until n parts of the job may go, or as many as may go at once,
// and returns their window slots and how many they are. A job whose ctx has
// ended does not go, even when its turn came at the same moment. A job that is
// moved gets neither reservation nor error.
func (t *turnstile) waitFor(ctx context.Context, lane sms.Lane, producer string, n int, of caller) (pass, error) {
	w := t.waiters.Get().(*waiter)
	w.n, w.of = n, of
	t.mu.Lock()
	if guest := t.guest(of); guest && t.ended || !guest && t.away {
		t.mu.Unlock()
		return pass{}, nil
	}
	t.queues[laneIndex(lane)].push(w, producer)
	t.mu.Unlock()
	t.turn()

	select {
	case res := <-w.ready:
		if res == nil {
			return pass{}, nil
		}
		p := pass{res, w.n, w.until}
		t.waiters.Put(w) // it has left the queue; one that gives up stays there
		if ctx.Err() == nil {
			return p, nil
		}
		res.Release()
		return pass{}, context.Cause(ctx)
	case <-ctx.Done():
	}
	t.mu.Lock()
	granted := len(w.ready) > 0 // while giving up, or moved
	if !granted {
		t.queues[laneIndex(lane)].leave(w)
	}
	t.mu.Unlock()
	if granted {
		if res := <-w.ready; res != nil {
			res.Release()
		}
	}
	t.turn() // the next in line may fit where this one did not
	return pass{}, context.Cause(ctx)
}

// passAtOnce lets a message of one part through if nobody waits, and if slot
// and token are there: what waitFor and turn would do, without a waiter.
func (t *turnstile) passAtOnce(lane int) (p pass, ok bool) {
	t.mu.Lock()
	if t.contested(lane) {
		t.mu.Unlock()
		return pass{}, false
	}
	res, _ := t.binds.Reserve(1)
	if res == nil {
		t.mu.Unlock()
		return pass{}, false
	}
	if wait := t.take(1, lane == laneHigh); wait > 0 {
		t.mu.Unlock()
		res.Release()
		return pass{}, false
	}
	for t.credits[lane] <= 0 {
		t.newRound()
	}
	t.credits[lane]--
	t.limit(t.idle())
	p = pass{res, 1, t.deadline()}
	t.mu.Unlock()
	return p, true
}

// contested reports whether a job of the lane must queue: others do, or
// nothing may pass now. Called with mu held.
func (t *turnstile) contested(lane int) bool {
	if t.closed[lane] || t.away || t.account.on || len(t.late) > 0 {
		return true
	}
	for i := range t.queues {
		if !t.closed[i] && t.queues[i].n > 0 {
			return true
		}
	}
	return false
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
	if t.account.on {
		if wait := t.account.due(); wait > 0 {
			t.stalled = nil
			t.remind(wait)
			return nil
		}
	}
	if !t.serveLate() {
		return nil
	}
	for {
		lane := t.next()
		if lane < 0 {
			t.limit(t.idle())
			return nil
		}
		w := t.queues[lane].head()
		w.n = min(w.n, t.most)
		// Another may need fewer tokens, or go first.
		if w == t.stalled && time.Now().Before(t.resume) {
			return nil
		}
		res, short := t.binds.Reserve(w.n)
		if res == nil {
			t.limit(short.Reason)
			t.stalled = nil // another bind may come free before this one may send
			t.remind(short.Wait)
			return nil
		}
		if wait := t.take(w.n, lane == laneHigh); wait > 0 {
			t.limit(t.short())
			wait = min(wait, maxPause)
			t.stalled, t.resume = w, time.Now().Add(wait)
			t.remind(wait)
			return res
		}
		t.queues[lane].pop()
		t.credits[lane] -= w.n
		t.stalled = nil
		w.until = t.deadline()
		if t.account.on {
			t.account.probing = true
			w.ready <- &probe{Reservation: res, turnstile: t}
			return nil
		}
		w.ready <- res
	}
}

// take takes tokens. What is urgent, the lane high and messages that were let
// through before, finds some that others leave.
func (t *turnstile) take(n int, urgent bool) (wait time.Duration) {
	if urgent && t.fleet != nil {
		return t.fleet.TakeUrgent(n)
	}
	return t.limiter.Take(n)
}

// short says why the limiter gave no tokens.
func (t *turnstile) short() Limit {
	switch {
	case t.fleet == nil:
	case t.fleet.CutOff():
		return LimitRedis
	case t.fleet.Throttling():
		return LimitThrottled
	}
	return LimitRate
}

// renewed hears that there may be tokens before the limiter said.
func (t *turnstile) renewed() {
	t.mu.Lock()
	t.stalled = nil
	t.mu.Unlock()
	t.turn()
}

// demand is how many tokens there is work for, at least, and whether there were
// slots for all of it ever since it was last asked.
func (t *turnstile) demand() (n int, room bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.queues {
		if !t.closed[i] {
			n += t.queues[i].n
		}
	}
	for _, w := range t.late {
		n += w.n
	}
	room = !t.crowded
	t.crowded = t.seen == LimitWindow || t.seen == LimitNoBind
	return n, room
}

// limit notes what limits the route: nothing else counts while it is paused.
// Called with mu held.
func (t *turnstile) limit(l Limit) {
	switch {
	case t.away:
		l = LimitStandby
	case t.account.on:
		l = LimitAccount
	}
	t.seen = l
	t.crowded = t.crowded || l == LimitWindow || l == LimitNoBind
	t.meter.set(t.strain.over(l))
}

// next chooses a lane by weight: the most urgent waiting lane that has credit
// left; when none has, a new round begins. It returns -1 when nobody waits but
// in lanes that are closed. Called with mu held.
func (t *turnstile) next() int {
	for {
		waiting := false
		for i := range t.queues {
			if t.closed[i] || t.queues[i].head() == nil {
				continue
			}
			if t.credits[i] > 0 {
				return i
			}
			waiting = true
		}
		if !waiting {
			return -1
		}
		t.newRound()
	}
}

// newRound gives every lane its credit. Called with mu held.
func (t *turnstile) newRound() {
	for i, w := range t.weights {
		t.credits[i] = min(t.credits[i]+w, savings*w)
	}
}

// move sends those who wait and of whom moves says so to choose their way anew.
func (t *turnstile) move(moves func(of caller, lane int) bool) {
	t.mu.Lock()
	moved := false
	for i := range t.queues {
		for _, w := range t.queues[i].all() {
			if moves(w.of, i) {
				t.queues[i].leave(w)
				w.ready <- nil
				moved = true
			}
		}
	}
	t.mu.Unlock()
	if moved {
		t.turn()
	}
}

// close sends the jobs of other routes away, for good.
func (t *turnstile) close() {
	t.mu.Lock()
	t.ended = true
	t.mu.Unlock()
	t.move(func(of caller, _ int) bool { return t.guest(of) })
}

func (t *turnstile) guest(of caller) bool { return of.route != nil && of.route.turnstile != t }

// open reports whether jobs of the lane may wait here, whatever their route.
func (t *turnstile) open(lane sms.Lane) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.ended && !t.closed[laneIndex(lane)]
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
		m[lane] = t.queues[i].n
	}
	return m
}

// producers counts the producers of these jobs by lane.
func (t *turnstile) producers() map[sms.Lane]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := make(map[sms.Lane]int, laneCount)
	for i, lane := range sms.Lanes() {
		m[lane] = t.queues[i].waiting()
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
		return laneHigh
	case sms.LaneNormal:
		return 1
	}
	return 2
}
