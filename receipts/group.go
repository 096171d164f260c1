package receipts

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"github.com/redis/go-redis/v9"
)

// maxBatch is how many commands a batch takes before the next one is begun;
// the last step may exceed it.
const maxBatch = 512

// group commits commands of many goroutines together: while one pipeline is on
// its way the next gathers, so batches grow with the load and an idle Redis is
// asked at once.
//
// There is one flusher, and only while there is something to send: the step
// that finds none starts it. It is no caller that flushes, since a caller must
// be able to leave when its ctx ends. One pipeline at a time keeps order: what
// a caller asks after it left an earlier step runs after that step.
type group struct {
	pipe redis.Pipeliner // of the flusher

	mu      sync.Mutex
	waiting []*batch      // guarded by mu; all but the last are full
	idle    chan struct{} // guarded by mu; closed by the flusher when it ends, nil before the first
	running bool          // guarded by mu
}

// batch is what goes in one pipeline.
type batch struct {
	queued []queued
	done   chan struct{} // closed by the flusher
	err    error         // of the batch as a whole; settled before done is closed
}

type queued struct {
	ctx context.Context
	cmd redis.Cmder
}

// run executes the commands of one step, in order, and returns the first
// error among them; that a key is absent is none. When ctx ends first the
// commands may still run, and belong to the flusher.
func (g *group) run(ctx context.Context, cmds ...redis.Cmder) error {
	b := g.enqueue(ctx, cmds)
	select {
	case <-b.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if b.err != nil {
		return b.err
	}
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
	}
	return nil
}

func (g *group) enqueue(ctx context.Context, cmds []redis.Cmder) *batch {
	g.mu.Lock()
	defer g.mu.Unlock()
	var b *batch
	if n := len(g.waiting); n > 0 && len(g.waiting[n-1].queued) < maxBatch {
		b = g.waiting[n-1]
	} else {
		b = &batch{done: make(chan struct{}), queued: make([]queued, 0, 16)}
		g.waiting = append(g.waiting, b)
	}
	for _, cmd := range cmds {
		b.queued = append(b.queued, queued{ctx, cmd})
	}
	if !g.running {
		g.running, g.idle = true, make(chan struct{})
		go g.flush(g.idle)
	}
	return b
}

// flush sends batches until none waits.
func (g *group) flush(idle chan<- struct{}) {
	defer close(idle)
	for {
		runtime.Gosched() // who was just answered may have more to ask
		b := g.next()
		if b == nil {
			return
		}
		b.exec(g.pipe)
		close(b.done)
	}
}

func (g *group) next() *batch {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.running = false
		return nil
	}
	b := g.waiting[0]
	g.waiting = append(g.waiting[:0], g.waiting[1:]...)
	return b
}

// exec leaves out what nobody waits for any more, so that the queue does not
// outgrow its callers while Redis is away.
func (b *batch) exec(pipe redis.Pipeliner) {
	ctx := context.WithoutCancel(b.queued[0].ctx)
	cmds := make([]redis.Cmder, 0, len(b.queued))
	for _, q := range b.queued {
		if err := q.ctx.Err(); err != nil {
			q.cmd.SetErr(err)
			continue
		}
		cmds = append(cmds, q.cmd)
	}
	_ = pipe.BatchProcess(ctx, cmds...) // only queues
	_, err := pipe.Exec(ctx)
	b.err = unanswered(err, cmds)
}

// unanswered returns the error of a pipeline unless it is that of a command.
// A refusal while a connection is set up, such as NOAUTH, is in none of them.
func unanswered(err error, cmds []redis.Cmder) error {
	if err == nil || errors.Is(err, redis.Nil) {
		return nil
	}
	for _, cmd := range cmds {
		if cmd.Err() != nil {
			return nil
		}
	}
	return err
}

// wait returns when the flusher has ended, or ctx has.
func (g *group) wait(ctx context.Context) error {
	g.mu.Lock()
	idle := g.idle
	g.mu.Unlock()
	if idle == nil {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
