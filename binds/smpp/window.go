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
	waiters []chan struct{} // guarded by mu; each is closed once, by whoever removes it
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

// take waits for one slot until ctx ends or stop is closed.
func (w *window) take(ctx context.Context, stop <-chan struct{}) error {
	for {
		if w.tryTake(1) {
			return nil
		}
		turn := make(chan struct{})
		w.mu.Lock()
		w.waiters = append(w.waiters, turn)
		w.mu.Unlock()
		w.waiting.Add(1)
		if w.free.Load() > 0 {
			w.wake(1)
		}
		var err error
		select {
		case <-turn:
			continue
		case <-ctx.Done():
			err = ctx.Err()
		case <-stop:
			err = ErrNotBound
		}
		if !w.leave(turn) {
			w.wake(1) // the turn was given while we left: pass it on
		}
		return err
	}
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
		w.wake(n)
	}
}

// give puts n slots back.
func (w *window) give(n int) {
	w.free.Add(int64(n))
	if w.waiting.Load() > 0 {
		w.wake(n)
	}
	if w.starved.Load() && w.starved.CompareAndSwap(true, false) && w.onFree != nil {
		w.onFree()
	}
}

// wake gives the n longest waiters another try.
func (w *window) wake(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ; n > 0 && len(w.waiters) > 0; n-- {
		close(w.waiters[0])
		w.waiters = w.waiters[1:]
		w.waiting.Add(-1)
	}
}

// leave removes a waiter; false means that its turn has come.
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
