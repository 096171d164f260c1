package trial

import (
	"iter"
	"math/rand/v2"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/load"
)

// refusedNumber is one that the simulator refuses with ESME_RINVDSTADR, told by its ending.
const refusedNumber = "447700900404"

// MeanParts is how many submit_sm a job of Orders becomes on average.
const MeanParts = 1.2

// Orders are n jobs of a seed, as they are published and as they are judged:
// one in ten in three parts, one in five at_most_once, one in a hundred to a
// number that the SMSC refuses. run begins each id.
func Orders(seed uint64, run string, n int) iter.Seq2[load.Job, judge.Job] {
	return func(yield func(load.Job, judge.Job) bool) {
		rng := rand.New(rand.NewPCG(seed, 2))
		for i := range n {
			job, expect := load.Single(run, i), judge.Job{Parts: 1}
			if rng.IntN(10) == 0 {
				job, expect.Parts = load.Multipart(run, i, 3), 3
			}
			if rng.IntN(5) == 0 {
				job.Delivery, expect.AtMostOnce = "at_most_once", true
			}
			if rng.IntN(100) == 0 {
				job.To, expect.Refused = refusedNumber, true
			}
			expect.ID = job.ID
			if !yield(job, expect) {
				return
			}
		}
	}
}

// Plain are n jobs of one part for a lane of a route.
func Plain(route, lane, run string, n int) iter.Seq[load.Job] {
	return func(yield func(load.Job) bool) {
		for i := range n {
			job := load.Single(run, i)
			job.Route, job.Lane = route, lane
			if !yield(job) {
				return
			}
		}
	}
}
