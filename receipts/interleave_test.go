package receipts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// A scenario is a few actors, each with a desk of its own on one real Redis.
// explore runs it in every order of their steps that can make a difference.
// A step is one command to Redis, or one publish; between two steps an actor
// stands at its gate. In each order one actor, at most, dies at each of its
// gates; afterwards a further desk does what the world does then: the SMSC
// repeats what was not answered, another worker sweeps. Then judge looks at
// what was published.
//
// Orders that differ only in neighbouring steps that do not touch the same key,
// or that only read it, are one and the same: of those one is run.
type scenario struct {
	actors  []actor
	crashes int // how many actors may die in one order
	before  func(t *testing.T, r *run)
	after   func(t *testing.T, r *run)
	judge   func(r *run) error
}

// actor does one thing, step by step.
type actor struct {
	name  string
	parks int                                     // hours after which what it parks is due
	setUp func(t *testing.T, r *run, d *Desk)     // before the first step, ungated
	do    func(ctx context.Context, d *Desk) bool // reports whether it was done as it should
}

// run is one order.
type run struct {
	prefix string
	stage  []*staged
	last   *staged // who took the last step
	rescue *Desk
	pub    *results
	trace  []string // for people
	keys   map[string]*history
}

// staged is an actor in one run.
type staged struct {
	actor
	desk    *Desk
	ctx     context.Context
	cancel  context.CancelFunc
	gate    chan []access // the actor is about to do this; closed when it has ended
	pass    chan bool     // false: it dies here
	active  atomic.Bool
	dead    atomic.Bool
	begun   bool
	ended   bool
	done    bool // do reported so
	waiting []access
	steps   int
}

// access is what a step does with one key.
type access struct {
	key   string
	write bool
	what  string
}

// history is who came to a key, in order; reads between two writes have none.
type history struct {
	past  strings.Builder
	reads []string
}

var errDead = errors.New("this actor is dead")

// step waits at the gate and reports whether the actor may go on.
func (s *staged) step(what func() []access) bool {
	if s == nil || !s.active.Load() {
		return true
	}
	if s.dead.Load() {
		return false
	}
	s.gate <- what()
	return <-s.pass
}

// gates is the hook of an actor's client: the commands of a pipeline go one by
// one, as they may when others are served between them.
type gates struct{ now atomic.Pointer[staged] }

func (g *gates) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (g *gates) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (g *gates) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if name := cmds[0].Name(); name == "client" || name == "hello" { // a connection is set up
			return next(ctx, cmds)
		}
		for i, cmd := range cmds {
			if !g.now.Load().step(func() []access { return accesses(cmd) }) {
				for _, cmd := range cmds[i:] {
					cmd.SetErr(errDead)
				}
				return errDead
			}
			if err := next(ctx, cmds[i:i+1]); err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
		}
		return nil
	}
}

// accesses says what a command does with which keys. Members of the due index
// are keys of their own, and the set of routes only grows.
func accesses(cmd redis.Cmder) []access {
	var args []string
	for _, a := range cmd.Args() {
		if b, ok := a.([]byte); ok {
			a = string(b)
		}
		args = append(args, fmt.Sprint(a))
	}
	one := func(key string, write bool) []access { return []access{{key, write, args[0] + " " + key}} }
	switch name := args[0]; name {
	case "get", "getex", "lrange":
		return one(args[1], false)
	case "set":
		if slices.Contains(args, "nx") {
			return one(args[1], true)
		}
		return []access{{"", false, "set " + args[1]}} // the record of the only job
	case "lrem":
		return one(args[1], true)
	case "zrem":
		return one(args[1]+" "+args[2], true)
	case "sadd":
		return one("", false)
	case "evalsha":
		switch args[1] {
		case parkScript.Hash():
			return []access{{args[3], false, "park, id " + args[3]}, {args[4], true, "park"}}
		case dueScript.Hash():
			var all []access
			for i := 6; i < len(args); i += 2 {
				all = append(all, access{args[3] + " " + args[i], true, "index " + args[i]})
			}
			return all
		case forgetScript.Hash():
			return one(args[3]+" "+args[4], true)
		case finalScript.Hash(), decideScript.Hash():
			return one(args[3], true)
		case addPartScript.Hash(), closeScript.Hash(), publishedScript.Hash():
			return one(args[3], true)
		}
	}
	panic("a command that the test does not know: " + strings.Join(args, " "))
}

// gatedResults is a Publisher of one actor.
type gatedResults struct {
	gates *gates
	into  *results
}

func (p *gatedResults) Publish(ctx context.Context, r *sms.Result) error {
	if !p.gates.now.Load().step(func() []access { return []access{{"", false, "publish " + r.ID}} }) {
		return errDead
	}
	return p.into.Publish(ctx, r)
}

func (p *gatedResults) PublishInbound(ctx context.Context, m *sms.Inbound) error {
	if !p.gates.now.Load().step(func() []access { return []access{{"", false, "publish " + m.ID}} }) {
		return errDead
	}
	return p.into.PublishInbound(ctx, m)
}

// explore returns how many orders there are, and how many runs it took.
func (sc *scenario) explore(t *testing.T, addr string) (orders, runs int) {
	t.Helper()
	w := newWorld(t, addr, len(sc.actors))
	seen := make(map[string]bool)
	type turn struct{ of, taken int }
	var path []turn
	for n := 0; ; n++ {
		r := w.stage(t, sc, n)
		cut := false
		runs++
		for depth := 0; ; depth++ {
			options := r.options(sc.crashes)
			if len(options) == 0 {
				break
			}
			if depth == len(path) {
				if cut = seen[r.signature()]; cut {
					break
				}
				seen[r.signature()] = true
				path = append(path, turn{of: len(options)})
			}
			r.take(options[path[depth].taken])
		}
		r.leave()
		if !cut {
			orders++
			if sc.after != nil {
				sc.after(t, r)
			}
			if err := sc.judge(r); err != nil {
				t.Fatalf("%v\nin this order:\n%s\npublished:\n%s", err, strings.Join(r.trace, "\n"), describe(r.pub.list()))
			}
		}
		for len(path) > 0 && path[len(path)-1].taken+1 == path[len(path)-1].of {
			path = path[:len(path)-1]
		}
		if len(path) == 0 {
			return orders, runs
		}
		path[len(path)-1].taken++
	}
}

// option is what may happen next: an actor takes its step, or dies before it.
type option struct {
	who  *staged
	dies bool
}

// options leaves out what makes no difference: when an actor dies between two
// of its steps, and when it takes a step that touches no key. Both are due
// right after the actor's step before.
func (r *run) options(crashes int) []option {
	for _, s := range r.stage {
		if s.dead.Load() {
			crashes--
		}
	}
	var deaths []option
	if s := r.last; s != nil && !s.ended {
		if crashes > 0 {
			deaths = append(deaths, option{s, true})
		}
		if touchesNothing(s.waiting) {
			return append(deaths, option{who: s})
		}
	}
	var steps []option
	for _, s := range r.stage {
		if !s.ended {
			steps = append(steps, option{who: s})
		}
	}
	return append(steps, deaths...)
}

func touchesNothing(step []access) bool {
	return !slices.ContainsFunc(step, func(a access) bool { return a.key != "" })
}

func (r *run) take(o option) {
	s := o.who
	r.last = s
	switch {
	case o.dies:
		r.trace = append(r.trace, s.name+" dies")
		s.dead.Store(true)
		s.cancel()
		s.pass <- false
		for range s.gate {
		}
		s.ended = true
		return
	case !s.begun:
		s.begun = true
		s.active.Store(true)
		go func() {
			defer close(s.gate)
			s.done = s.do(s.ctx, s.desk)
		}()
		if s.await(); s.ended {
			return
		}
	}
	for _, a := range s.waiting {
		r.trace = append(r.trace, s.name+": "+a.what)
		r.note(s, a)
	}
	s.steps++
	s.pass <- true
	s.await()
}

// await returns when the actor is at its next gate or has ended.
func (s *staged) await() {
	var open bool
	s.waiting, open = <-s.gate
	s.ended = !open
}

func (r *run) note(s *staged, a access) {
	if a.key == "" {
		return
	}
	h := r.keys[a.key]
	if h == nil {
		h = new(history)
		r.keys[a.key] = h
	}
	me := fmt.Sprintf("%s%d ", s.name, s.steps)
	if !a.write {
		h.reads = append(h.reads, me)
		slices.Sort(h.reads)
		return
	}
	fmt.Fprintf(&h.past, "%s|%s|", strings.Join(h.reads, ""), me)
	h.reads = nil
}

// signature is the same for orders that make no difference up to here.
func (r *run) signature() string {
	var all []string
	for key, h := range r.keys {
		all = append(all, key[len(r.prefix):]+"="+h.past.String()+strings.Join(h.reads, ""))
	}
	sort.Strings(all)
	for _, s := range r.stage {
		all = append(all, fmt.Sprint(s.steps, s.dead.Load()))
	}
	return strings.Join(all, "\n")
}

// leave ends whoever is still there: their order was run before.
func (r *run) leave() {
	for _, s := range r.stage {
		if s.begun && !s.ended {
			s.dead.Store(true)
			s.cancel()
			s.pass <- false
			for range s.gate {
			}
		}
		s.active.Store(false)
		s.cancel()
	}
}

// world is what all runs of a scenario share.
type world struct {
	clients []redis.UniversalClient
	gates   []*gates
	rescue  redis.UniversalClient
	name    string
}

func newWorld(t *testing.T, addr string, actors int) *world {
	t.Helper()
	w := &world{rescue: client(t, addr), name: strings.ReplaceAll(t.Name(), "/", ".")}
	for range actors {
		c, g := client(t, addr), new(gates)
		c.AddHook(g)
		w.clients, w.gates = append(w.clients, c), append(w.gates, g)
	}
	if err := newTestStore(t, w.rescue).loadScripts(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) stage(t *testing.T, sc *scenario, n int) *run {
	t.Helper()
	r := &run{prefix: fmt.Sprintf("%s-%d", w.name, n), pub: new(results), keys: make(map[string]*history)}
	r.rescue = w.desk(t, r, "rescue", w.rescue, r.pub, 1)
	if sc.before != nil {
		sc.before(t, r)
	}
	for i, a := range sc.actors {
		s := &staged{actor: a, gate: make(chan []access), pass: make(chan bool)}
		s.ctx, s.cancel = context.WithCancel(t.Context())
		w.gates[i].now.Store(s)
		s.desk = w.desk(t, r, a.name, w.clients[i], &gatedResults{w.gates[i], r.pub}, max(1, a.parks))
		if a.setUp != nil {
			a.setUp(t, r, s.desk)
		}
		r.stage = append(r.stage, s)
	}
	return r
}

func (p *gatedResults) PublishThen(ctx context.Context, r *sms.Result, done func(error)) {
	go func() { done(p.Publish(ctx, r)) }()
}
