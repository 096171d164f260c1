package dispatcher

import (
	"slices"
	"strings"
)

// laneQueue is the jobs of one lane in front of the turnstile: one queue for
// each producer, who take turns, so that a producer with many jobs delays
// another's few by no more than its share. A turn is worth one part: who sends
// a job of n parts sits out n-1 rounds, unless nobody else waits.
type laneQueue struct {
	producers map[string]*producerQueue
	last      *producerQueue // where the last waiter was put: usually the next goes there too
	turn      *producerQueue // whose turn it is, one of the ring; nil when the ring is empty
	n         int            // waiters
}

// producerQueue is the queue of one producer. It is in the ring while it has
// waiters, and until its next turn.
type producerQueue struct {
	fifo
	producer   string
	debt       int            // rounds to sit out
	prev, next *producerQueue // in the ring; nil while it is not in it
}

// fewIdle is how many producers without jobs are remembered.
const fewIdle = 1024

func (q *laneQueue) push(w *waiter, producer string) {
	p := q.last
	if p == nil || p.producer != producer {
		p = q.of(producer)
		q.last = p
	}
	w.queue = p
	if w.of.again {
		p.rejoin(w)
	} else {
		p.push(w)
	}
	q.n++
	if p.next == nil {
		q.join(p)
	}
}

// of returns the producer's queue.
func (q *laneQueue) of(producer string) *producerQueue {
	if p := q.producers[producer]; p != nil {
		return p
	}
	if len(q.producers) >= fewIdle && q.idle() > len(q.producers)/2 {
		for name, p := range q.producers {
			if p.next == nil {
				delete(q.producers, name)
			}
		}
	}
	if q.producers == nil {
		q.producers = make(map[string]*producerQueue)
	}
	p := &producerQueue{producer: strings.Clone(producer)} // of a subject, which may go
	q.producers[p.producer] = p
	return p
}

// idle counts the producers that are not in the ring.
func (q *laneQueue) idle() int {
	n := len(q.producers)
	for range q.ring {
		n--
	}
	return n
}

// ring yields the producers whose turn comes, the next first.
func (q *laneQueue) ring(yield func(*producerQueue) bool) {
	p := q.turn
	for p != nil && yield(p) {
		if p = p.next; p == q.turn {
			return
		}
	}
}

// join puts p where its turn comes last.
func (q *laneQueue) join(p *producerQueue) {
	if q.turn == nil {
		p.prev, p.next = p, p
		q.turn = p
		return
	}
	p.prev, p.next = q.turn.prev, q.turn
	p.prev.next, p.next.prev = p, p
}

// part takes the producer whose turn it is out of the ring.
func (q *laneQueue) part() {
	p := q.turn
	q.turn = p.next
	if p.next == p {
		q.turn = nil
	}
	p.prev.next, p.next.prev = p.next, p.prev
	p.prev, p.next, p.debt = nil, nil, 0
}

// head returns who is next, nil when nobody waits. It stays so until pop, or
// until he gives up.
func (q *laneQueue) head() *waiter {
	for p := q.turn; p != nil; p = q.turn {
		w := p.head()
		switch {
		case w == nil:
			q.part()
		case p.debt > 0 && p.next != p:
			p.debt--
			q.turn = p.next
		default:
			p.debt = 0
			return w
		}
	}
	return nil
}

// pop takes the head out.
func (q *laneQueue) pop() {
	p := q.turn
	p.debt = p.head().n - 1
	p.pop()
	q.n--
	q.turn = p.next
}

// leave notes that a waiter gives up.
func (q *laneQueue) leave(w *waiter) {
	w.queue.leave(w)
	q.n--
}

// all lists those who wait.
func (q *laneQueue) all() (waiters []*waiter) {
	for p := range q.ring {
		for _, w := range p.items[p.first:] {
			if !w.gone {
				waiters = append(waiters, w)
			}
		}
	}
	return waiters
}

// waiting counts the producers that have jobs in the queue.
func (q *laneQueue) waiting() (producers int) {
	for p := range q.ring {
		if p.len() > 0 {
			producers++
		}
	}
	return producers
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

// rejoin puts a waiter before those that came after it.
func (q *fifo) rejoin(w *waiter) {
	at := q.first
	for at < len(q.items) && q.items[at].of.place < w.of.place {
		at++
	}
	if at == q.first && at > 0 {
		q.first--
		q.items[q.first] = w
		return
	}
	q.items = slices.Insert(q.items, at, w)
}

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
