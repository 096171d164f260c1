package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// storm is the schedule of a random run: what happens when, from the seed alone.
type storm struct {
	forgetful bool // Redis loses its data at least once
	steps     []step
}

// step is one thing that happens.
type step struct {
	at      time.Duration // after the first job was published
	what    action
	who     int           // which worker, or which connection
	fresh   bool          // a started worker has a new id
	answers bool          // break a connection by what the SMSC sends
	octets  int           // that pass before the break
	silent  time.Duration // how long a broken connection stays open
}

type action string

const (
	killWorker  action = "SIGKILL to worker"
	startWorker action = "start worker"
	breakConn   action = "break connection"
	killNATS    action = "SIGKILL to the NATS server"
	startNATS   action = "start the NATS server"
	killRedis   action = "SIGKILL to Redis"
	startRedis  action = "start Redis"
	stallRedis  action = "SIGSTOP to Redis"
	resumeRedis action = "SIGCONT to Redis"
	emptyRedis  action = "restart Redis empty"
)

// stormWorkers is how many workers there are.
const stormWorkers = 3

// newStorm makes the schedule of a seed over the time of publishing.
//
// A Redis that comes back empty has forgotten what was in flight. What a dead
// worker had is in doubt, because JetStream says that it was delivered before;
// a killed NATS server forgets that too, and then no worker can know. So every
// third seed is of a forgetful Redis, and in those the NATS server is not killed:
// what remains must hold.
func newStorm(seed uint64, over time.Duration) storm {
	rng := rand.New(rand.NewPCG(seed, 3))
	between := func(lo, hi time.Duration) time.Duration { return lo + time.Duration(rng.Int64N(int64(hi-lo))) }
	s := storm{forgetful: seed%3 == 0}
	add := func(st step) { s.steps = append(s.steps, st) }

	for t := between(time.Second, 3*time.Second); t < over; t += between(time.Second/2, 3*time.Second) {
		st := step{at: t, what: breakConn, who: rng.IntN(6), answers: rng.IntN(2) == 0, octets: 1 + rng.IntN(4000)}
		if rng.IntN(3) == 0 {
			st.silent = between(time.Second, 12*time.Second)
		}
		add(st)
	}
	for t := between(over/8, over/3); t < over; t += between(over/5, over/2) {
		away := between(500*time.Millisecond, 6*time.Second)
		switch kind := rng.IntN(3); {
		case s.forgetful && kind < 2:
			add(step{at: t, what: emptyRedis})
		case kind == 0:
			add(step{at: t, what: killRedis})
			add(step{at: t + away, what: startRedis})
		default:
			add(step{at: t, what: stallRedis})
			add(step{at: t + away, what: resumeRedis})
		}
		t += away
	}
	if !s.forgetful {
		for t := between(over/10, over/2); t < over; t += between(over/4, over) {
			away := between(0, 4*time.Second)
			add(step{at: t, what: killNATS})
			add(step{at: t + away, what: startNATS})
			t += away
		}
	}
	for w := range stormWorkers {
		for t := between(over/10, over/2); t < over; t += between(over/5, over) {
			away := between(0, 8*time.Second)
			add(step{at: t, what: killWorker, who: w})
			add(step{at: t + away, what: startWorker, who: w, fresh: rng.IntN(2) == 0})
			t += away
		}
	}
	slices.SortStableFunc(s.steps, func(a, b step) int { return int(a.at - b.at) })
	if s.forgetful && !slices.ContainsFunc(s.steps, func(st step) bool { return st.what == emptyRedis }) {
		add(step{at: max(over, s.steps[len(s.steps)-1].at), what: emptyRedis})
	}
	return s
}

// String tells the schedule, a line for each step.
func (s storm) String() string {
	var b strings.Builder
	for _, st := range s.steps {
		fmt.Fprintf(&b, "\n  %7s  %s", st.at.Round(time.Millisecond), st)
	}
	return b.String()
}

// String tells the step.
func (st step) String() string {
	switch st.what {
	case killWorker:
		return fmt.Sprintf("%s %d", st.what, st.who+1)
	case startWorker:
		if st.fresh {
			return fmt.Sprintf("%s %d under a new id", st.what, st.who+1)
		}
		return fmt.Sprintf("%s %d under its id", st.what, st.who+1)
	case breakConn:
		from := "to"
		if st.answers {
			from = "from"
		}
		return fmt.Sprintf("%s %d after %d octets %s the SMSC, reset after %s", st.what, st.who+1, st.octets, from, st.silent.Round(time.Millisecond))
	}
	return string(st.what)
}
