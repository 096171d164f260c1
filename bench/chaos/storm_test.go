package main

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSeedRepeatsTheStorm(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		if d := cmp.Diff(newStorm(seed, time.Minute).String(), newStorm(seed, time.Minute).String()); d != "" {
			t.Errorf("storms of seed %d differ:\n%s", seed, d)
		}
	}
	if newStorm(7, time.Minute).String() == newStorm(8, time.Minute).String() {
		t.Error("two seeds give the same storm")
	}
}

// undo is what must follow each fault before it may happen again.
var undo = map[action]action{killWorker: startWorker, killNATS: startNATS, killRedis: startRedis, stallRedis: resumeRedis}

func TestStormsAreInOrderAndLeaveEverythingRunning(t *testing.T) {
	t.Parallel()
	met := map[action]int{}
	for seed := range uint64(200) {
		for _, over := range []time.Duration{10 * time.Second, time.Minute} {
			type thing struct {
				what string
				who  int
			}
			down := map[thing]action{} // what is broken, and what mends it
			s := newStorm(seed, over)
			if !slices.IsSortedFunc(s.steps, func(a, b step) int { return int(a.at - b.at) }) {
				t.Errorf("seed %d over %s: steps out of order", seed, over)
			}
			for _, st := range s.steps {
				met[st.what]++
				it := thing{who: st.who}
				switch st.what {
				case breakConn:
					continue
				case killNATS, startNATS:
					it.what = "nats"
				case killWorker, startWorker:
					it.what = "worker"
				default:
					it.what = "redis"
				}
				mend, broken := down[it]
				switch {
				case broken && st.what != mend, !broken && undo[st.what] == "" && st.what != emptyRedis:
					t.Fatalf("seed %d over %s: %s at %s, when what is due is %q", seed, over, st, st.at, mend)
				case broken:
					delete(down, it)
				case st.what != emptyRedis:
					down[it] = undo[st.what]
				}
			}
			if len(down) > 0 {
				t.Errorf("seed %d over %s: left broken: %v", seed, over, down)
			}
		}
	}
	if len(met) != 10 {
		t.Errorf("200 seeds make only %v", met)
	}
}

func TestForgetfulStormsKillWorkersAndNotTheNATSServer(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		s := newStorm(seed, time.Minute)
		has := func(a action) bool { return slices.ContainsFunc(s.steps, func(st step) bool { return st.what == a }) }
		if s.forgetful != has(emptyRedis) || s.forgetful == has(killNATS) || !has(killWorker) {
			t.Errorf("seed %d: forgetful is %t:%s", seed, s.forgetful, s)
		}
	}
}
