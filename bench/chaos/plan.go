package main

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"
)

// plan is what the seed decides. Moments are shares of the jobs published.
type plan struct {
	seed       uint64
	killAt     float64        // SIGKILL to a worker
	victim     int            // which of the two
	replaceAt  float64        // its replacement starts
	natsAt     float64        // the NATS server is restarted
	natsSignal syscall.Signal // SIGTERM or SIGKILL
	redisAt    float64        // Redis stops
	redisKill  bool           // SIGKILL and a new start; else SIGSTOP and SIGCONT
}

// redisAway is how long Redis stops.
const redisAway = 5 * time.Second

func newPlan(seed uint64) plan {
	rng := rand.New(rand.NewPCG(seed, 1))
	between := func(lo, hi float64) float64 { return lo + rng.Float64()*(hi-lo) }
	p := plan{
		seed:       seed,
		killAt:     between(0.15, 0.30),
		victim:     rng.IntN(2),
		replaceAt:  between(0.35, 0.45),
		natsAt:     between(0.50, 0.60),
		natsSignal: syscall.SIGTERM,
		redisAt:    between(0.65, 0.80),
		redisKill:  rng.IntN(2) == 0,
	}
	if rng.IntN(2) == 0 {
		p.natsSignal = syscall.SIGKILL
	}
	return p
}

// String tells the plan.
func (p plan) String() string {
	redis := "frozen"
	if p.redisKill {
		redis = "killed and away"
	}
	return fmt.Sprintf("worker %d is killed at %.0f %% and replaced at %.0f %%, NATS gets %s at %.0f %%, Redis is %s for %s at %.0f %%",
		p.victim+1, 100*p.killAt, 100*p.replaceAt, signalName(p.natsSignal), 100*p.natsAt, redis, redisAway, 100*p.redisAt)
}

// signalName is the name of one of the two signals of a plan.
func signalName(s syscall.Signal) string {
	if s == syscall.SIGKILL {
		return "SIGKILL"
	}
	return "SIGTERM"
}
