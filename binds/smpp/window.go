package smpp

import (
	"context"
	"sync"
	"sync/atomic"
)

// window counts the submit_sm that may still be sent before an answer is
// needed. Taking and giving back are one atomic operation each unless
// somebody waits.
type window struct {
	size    atomic.Int64
	free    atomic.Int64
	starved atomic.Bool // a take failed since onFree was last called
	onFree  func()      // may be nil; called without locks, must not block
	waiting atomic.Int32
	shut    atomic.Bool // no slots are given out any more

	mu      sync.Mutex
	waiters []chan struct{} // guarded by mu; closed, with a slot, by whoever removes it, but for the waiter itself
}

func newWindow(size int, onFree func()) *window {
	w := &window{onFree: onFree}
	w.size.Store(int64(size))
	w.free.Store(int64(size))
	return w
}

// tryTake takes n slots, or none.
func (w *window) tryTake(n int) bool {
	if w.shut.Load() {
		return false
	}
	for marked := false; ; {
		free := w.free.Load()
		if free >= int64(n) {
			if w.free.CompareAndSwap(free, free-int64(n)) {
				return true
			}
			continue
		}
		if marked {
			return false
		}
		// give checks starved after it adds, so that looking once more after
		// setting it leaves no gap in which a slot comes free unnoticed.
		marked = true
		w.starved.Store(true)
	}
}

// take waits for one slot until ctx ends or stop is closed. Slots that come
// free go to those who wait here, in turn, before anybody hears of them.
func (w *window) take(ctx context.Context, stop <-chan struct{}) error {
	if w.tryTake(1) {
		return nil
	}
	turn := make(chan struct{})
	w.mu.Lock()
	w.waiters = append(w.waiters, turn)
	w.waiting.Add(1)
	w.mu.Unlock()
	w.hand() // what came free before give could know
	var err error
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-stop:
		err = ErrNotBound
	}
	if !w.leave(turn) {
		w.give(1) // it came while we left
	}
	return err
}

// resize adds n slots, or takes -n away: those that are out count as soon as
// they come back. Who is told by onFree hears of it with the next give.
func (w *window) resize(n int) {
	if n == 0 {
		return
	}
	w.size.Add(int64(n))
	w.free.Add(int64(n))
	if n > 0 && w.waiting.Load() > 0 {
		w.hand()
	}
}

// give puts n slots back.
func (w *window) give(n int) {
	if w.waiting.Load() > 0 {
		n = w.pass(n)
	}
	w.free.Add(int64(n))
	if w.waiting.Load() > 0 { // since we looked
		w.hand()
	}
	if w.starved.Load() && w.starved.CompareAndSwap(true, false) && w.onFree != nil {
		w.onFree()
	}
}

// pass gives n slots to the longest waiters without setting them free, where
// whoever is quicker would take them, and returns how many are left.
func (w *window) pass(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n > 0 && len(w.waiters) > 0 && w.free.Load() >= 0 { // below, the window was narrowed
		w.turnLocked()
		n--
	}
	return n
}

// hand gives free slots to those who wait.
func (w *window) hand() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.waiters) > 0 {
		free := w.free.Load()
		if free <= 0 {
			return
		}
		if w.free.CompareAndSwap(free, free-1) {
			w.turnLocked()
		}
	}
}

// turnLocked lets the longest waiter have a slot. Called with mu held.
func (w *window) turnLocked() {
	close(w.waiters[0])
	w.waiters = w.waiters[1:]
	w.waiting.Add(-1)
}

// leave removes a waiter; false means that it has its slot.
func (w *window) leave(turn chan struct{}) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, c := range w.waiters {
		if c == turn {
			w.waiters = append(w.waiters[:i], w.waiters[i+1:]...)
			w.waiting.Add(-1)
			return true
		}
	}
	return false
}
