package jetstream

import (
	"runtime"
	"sync"
)

// outbox publishes in bursts what many goroutines send one by one. nats.go
// wakes its flusher at every publish, and a goroutine that then waits for the
// answer lets the flusher run at once: one write for each message, here and
// one read for each in the server. Whoever finds the outbox idle therefore
// lets those go first that are about to send, and publishes for all of them.
//
// Publishing is several times faster than sending ever is, so the queue is
// empty again soon, and nobody publishes for others for long.
type outbox[T any] struct {
	publish func(*T) // hands one to nats.go, which copies it, and deals with its failure

	mu    sync.Mutex
	queue []T  // guarded by mu
	spare []T  // guarded by mu; an empty queue to use next
	busy  bool // somebody publishes; guarded by mu
}

// send publishes the item, or leaves it to who is publishing already.
func (o *outbox[T]) send(item T) {
	o.mu.Lock()
	o.queue = append(o.queue, item)
	if o.busy {
		o.mu.Unlock()
		return
	}
	o.busy = true
	o.mu.Unlock()
	runtime.Gosched()

	o.mu.Lock()
	for len(o.queue) > 0 {
		burst := o.queue
		o.queue, o.spare = o.spare, nil
		o.mu.Unlock()
		for i := range burst {
			o.publish(&burst[i])
		}
		clear(burst)
		o.mu.Lock()
		o.spare = burst[:0]
	}
	o.busy = false
	o.mu.Unlock()
}
