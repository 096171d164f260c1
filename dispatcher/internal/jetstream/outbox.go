package jetstream

import (
	"runtime"
	"sync"
)

// outbox publishes in bursts what many goroutines send one by one. nats.go
// wakes its flusher at every publish, and a sender that then waits lets the
// flusher run at once: one write for each message, here and one read for each
// in the server. Therefore one goroutine publishes, and before each burst it
// lets those go first that are about to send.
//
// Publishing is several times faster than sending ever is, so the queue is
// empty again soon.
type outbox[T any] struct {
	publish func(*T)      // hands one to nats.go, which copies it, and deals with its failure
	filled  chan struct{} // capacity 1: written when the queue is empty no more, read by run

	mu    sync.Mutex
	queue []T // guarded by mu
	spare []T // guarded by mu; an empty queue to use next
}

func newOutbox[T any](publish func(*T)) *outbox[T] {
	return &outbox[T]{publish: publish, filled: make(chan struct{}, 1)}
}

// send has the item published soon. It does not block.
func (o *outbox[T]) send(item T) {
	o.mu.Lock()
	o.queue = append(o.queue, item)
	first := len(o.queue) == 1
	o.mu.Unlock()
	if first {
		select {
		case o.filled <- struct{}{}:
		default:
		}
	}
}

// run publishes until stop is closed, and then what is there.
func (o *outbox[T]) run(stop <-chan struct{}) {
	for open := true; open; {
		select {
		case <-o.filled:
		case <-stop:
			open = false
		}
		runtime.Gosched()
		o.mu.Lock()
		burst := o.queue
		o.queue, o.spare = o.spare, nil
		o.mu.Unlock()
		for i := range burst {
			o.publish(&burst[i])
		}
		clear(burst)
		o.mu.Lock()
		o.spare = burst[:0]
		o.mu.Unlock()
	}
}
