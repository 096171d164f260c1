package receipts

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// maxBatch is how many commands a batch takes before the next one is begun;
	// the last step may exceed it.
	maxBatch = 512

	// overdueAfter is how long callers wait for a batch before they look at
	// their ctx too. Few batches take so long while Redis is there, and to wait
	// for one thing costs a third of what it costs to wait for two.
	overdueAfter = 20 * time.Millisecond
)

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
	cmds []redis.Cmder   // of the flusher: the pipeline's commands, emptied after each

	mu      sync.Mutex
	waiting []*batch      // guarded by mu; all but the last are full
	flying  *batch        // guarded by mu; the one that is on its way
	spare   []queued      // guarded by mu; for the next batch
	told    []step        // guarded by mu; empty, for the next batch
	overdue *time.Timer   // guarded by mu; runs while the flusher does, nil before the first
	idle    chan struct{} // guarded by mu; closed by the flusher when it ends, nil before the first
	running bool          // guarded by mu
}

// batch is what goes in one pipeline.
type batch struct {
	queued []queued
	steps  []step        // for which nobody waits; see then
	woken  chan struct{} // closed when the batch has ended or is overdue
	ended  chan struct{} // made before woken is closed, nil unless overdue; closed by the flusher
	err    error         // of the batch as a whole; settled before it has ended
}

type queued struct {
	ctx context.Context
	cmd redis.Cmder
}

// step is commands of a batch whose answers somebody is to be told.
type step struct {
	ctx      context.Context
	from, to int // of batch.queued
	then     func(error)
	err      error // settled with the batch's
	told     bool  // guarded by group.mu
}

// run executes the commands of one step, in order, and returns the first
// error among them; that a key is absent is none. When ctx ends first, which
// may take overdueAfter to be noticed, the commands may still run, and belong
// to the flusher.
func (g *group) run(ctx context.Context, cmds ...redis.Cmder) error {
	if err := g.enqueue(ctx, cmds, nil).wait(ctx); err != nil {
		return err
	}
	for _, cmd := range cmds {
		if err := refusal(cmd); err != nil {
			return err
		}
	}
	return nil
}

// then has the commands of one step executed as run does, and returns at once.
// answered is called with what run would return, from a goroutine that others
// of the batch share: it must not block. A goroutine that waits for its answer
// is woken on a stack that has gone cold, which costs more than the command.
func (g *group) then(ctx context.Context, answered func(error), cmds ...redis.Cmder) {
	g.enqueue(ctx, cmds, answered)
}

// refusal is the error of a command; that its key is absent is none.
func refusal(cmd redis.Cmder) error {
	if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	return nil
}

// wait returns the error of the batch as a whole.
func (b *batch) wait(ctx context.Context) error {
	<-b.woken
	if b.ended != nil {
		select {
		case <-b.ended:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return b.err
}

func (g *group) enqueue(ctx context.Context, cmds []redis.Cmder, then func(error)) *batch {
	g.mu.Lock()
	defer g.mu.Unlock()
	var b *batch
	if n := len(g.waiting); n > 0 && len(g.waiting[n-1].queued) < maxBatch {
		b = g.waiting[n-1]
	} else {
		b = &batch{woken: make(chan struct{}), queued: g.spare, steps: g.told}
		g.spare, g.told = nil, nil
		g.waiting = append(g.waiting, b)
	}
	for _, cmd := range cmds {
		b.queued = append(b.queued, queued{ctx, cmd})
	}
	if then != nil {
		b.steps = append(b.steps, step{ctx: ctx, from: len(b.queued) - len(cmds), to: len(b.queued), then: then})
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
		g.exec(b)
		g.end(b)
	}
}

func (g *group) next() *batch {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.running = false
		g.overdue.Stop()
		return nil
	}
	if g.overdue == nil {
		g.overdue = time.AfterFunc(overdueAfter, g.rouse)
	} else {
		g.overdue.Reset(overdueAfter)
	}
	g.flying = g.waiting[0]
	g.waiting = append(g.waiting[:0], g.waiting[1:]...)
	return g.flying
}

// exec leaves out what nobody waits for any more, so that the queue does not
// outgrow its callers while Redis is away.
func (g *group) exec(b *batch) {
	ctx := context.WithoutCancel(b.queued[0].ctx)
	for _, q := range b.queued {
		if err := q.ctx.Err(); err != nil {
			q.cmd.SetErr(err)
			continue
		}
		g.cmds = append(g.cmds, q.cmd)
	}
	_ = g.pipe.BatchProcess(ctx, g.cmds...) // only queues
	_, err := g.pipe.Exec(ctx)
	b.err = unanswered(err, g.cmds)
	clear(g.cmds)
	g.cmds = g.cmds[:0]
}

// end wakes who waits for the batch, and has the others told.
func (g *group) end(b *batch) {
	for i := range b.steps {
		b.steps[i].err = b.answer(&b.steps[i])
	}
	clear(b.queued)
	g.mu.Lock()
	g.flying, g.spare = nil, b.queued[:0]
	b.steps = slices.DeleteFunc(b.steps, func(s step) bool { return s.told })
	wake := b.woken
	if b.ended != nil {
		wake = b.ended
	}
	g.mu.Unlock()
	close(wake)
	if len(b.steps) > 0 {
		go func() {
			tell(b.steps)
			clear(b.steps)
			g.mu.Lock()
			defer g.mu.Unlock()
			g.told = b.steps[:0]
		}()
	}
}

// answer is what run would return for the step.
func (b *batch) answer(s *step) error {
	if b.err != nil {
		return b.err
	}
	for _, q := range b.queued[s.from:s.to] {
		if err := refusal(q.cmd); err != nil {
			return err
		}
	}
	return nil
}

func tell(steps []step) {
	for i := range steps {
		steps[i].then(steps[i].err)
	}
}

// rouse has everybody who waits look at their ctx, now and after each further
// overdueAfter, and tells those who do not wait and whose ctx has ended.
func (g *group) rouse() {
	var ended []step
	g.mu.Lock()
	var asleep []*batch
	if g.running {
		asleep = append(asleep, g.waiting...)
		if g.flying != nil {
			asleep = append(asleep, g.flying)
		}
		g.overdue.Reset(overdueAfter)
	}
	n := 0
	for _, b := range asleep {
		for i := range b.steps {
			if s := &b.steps[i]; !s.told && s.ctx.Err() != nil {
				s.told = true
				ended = append(ended, step{then: s.then, err: context.Cause(s.ctx)})
			}
		}
		if b.ended == nil {
			b.ended = make(chan struct{})
			asleep[n] = b
			n++
		}
	}
	g.mu.Unlock()
	for _, b := range asleep[:n] {
		close(b.woken)
	}
	tell(ended)
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
