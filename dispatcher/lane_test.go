package dispatcher

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// gate is a turnstile that lets jobs queue up and then through one at a time,
// and writes down who goes.
type gate struct {
	t     *testing.T
	ts    *turnstile
	slots *slots

	mu    sync.Mutex
	order []string // guarded by mu
}

func newGate(t *testing.T, window int, l *rate.Limiter) *gate {
	g := &gate{t: t}
	g.ts, g.slots = newTestTurnstile(0, l)
	g.slots.free = window
	t.Cleanup(g.ts.stop)
	return g
}

// enter has a job of n parts wait, and returns once it does.
func (g *gate) enter(lane sms.Lane, producer string, n int) {
	go func() {
		res, _, err := g.ts.wait(g.t.Context(), lane, producer, n)
		if err != nil {
			return // the test is over
		}
		g.mu.Lock()
		g.order = append(g.order, producer)
		g.mu.Unlock()
		res.Release()
	}()
	synctest.Wait()
}

// open lets one part at a time through until all are, and returns the order.
func (g *gate) open(window int) string {
	g.slots.mu.Lock()
	g.slots.free = window
	g.slots.mu.Unlock()
	g.ts.turn()
	synctest.Wait()
	return g.went()
}

// went is who has gone through so far.
func (g *gate) went() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Join(g.order, "")
}

func TestProducersOfALaneTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, 0, nil)
		for range 6 {
			g.enter(sms.LaneNormal, "a", 1)
		}
		g.enter(sms.LaneNormal, "b", 1)
		g.enter(sms.LaneNormal, "b", 1)
		g.enter(sms.LaneNormal, "c", 1)
		if n := g.ts.producers()[sms.LaneNormal]; n != 3 {
			t.Errorf("%d producers wait, want 3", n)
		}
		if diff := cmp.Diff("abcabaaaa", g.open(1)); diff != "" {
			t.Errorf("order of producers (-want +got):\n%s", diff)
		}
	})
}

func TestAProducerWhoComesLaterWaitsForOneTurnOfEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, 1, rate.NewLimiter(10, 1))
		for range 10 {
			g.enter(sms.LaneNormal, "a", 1)
			g.enter(sms.LaneNormal, "b", 1)
		}
		time.Sleep(410 * time.Millisecond) // five are through
		g.enter(sms.LaneNormal, "c", 1)
		time.Sleep(400 * time.Millisecond)
		if got := g.went(); len(got) != 9 || !strings.Contains(got[5:8], "c") {
			t.Errorf("order of producers %s: c came after five of them and was not among the next three", got)
		}
	})
}

func TestATurnIsWorthOnePart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, 0, nil)
		for range 3 {
			g.enter(sms.LaneNormal, "L", 4) // four parts each
		}
		for range 8 {
			g.enter(sms.LaneNormal, "s", 1)
		}
		if diff := cmp.Diff("LssssLssssL", g.open(4)); diff != "" {
			t.Errorf("order of producers (-want +got):\n%s", diff)
		}
	})
}

func TestWhoIsAloneSitsNothingOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, 0, nil)
		for range 3 {
			g.enter(sms.LaneNormal, "L", 9)
		}
		if got := g.open(9); got != "LLL" {
			t.Errorf("%q went, want all three", got)
		}
		if n := g.ts.waiting()[sms.LaneNormal]; n != 0 {
			t.Errorf("%d still waiting", n)
		}
	})
}

func TestLanesShareByPartsNotByJobs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, 0, nil)
		for range 10 {
			g.enter(sms.LaneBulk, "B", 10)
		}
		for range 100 {
			g.enter(sms.LaneNormal, "n", 1)
		}
		got := g.open(10)
		// Weights 4 and 1: for each job of ten bulk parts forty normal ones.
		upTo := got[:strings.LastIndexByte(got, 'n')]
		if b := strings.Count(upTo, "B"); b < 2 || b > 4 {
			t.Errorf("%d bulk jobs of ten parts among 100 normal ones, want about 2.5: %s", b, got)
		}
	})
}

func TestAManyPartBulkJobThatWaitsForTokensHoldsUpNoUrgentOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, 100, rate.NewLimiter(10, 20))
		g.enter(sms.LaneBulk, "x", 20) // empties the bucket
		g.enter(sms.LaneBulk, "b", 20) // has to wait for two seconds
		time.Sleep(150 * time.Millisecond)
		synctest.Wait()
		g.enter(sms.LaneHigh, "h", 1)
		if got := g.went(); got != "xh" {
			t.Errorf("%q went: high must take the token that is there", got)
		}
		g.enter(sms.LaneHigh, "h", 1)
		time.Sleep(60 * time.Millisecond)
		synctest.Wait()
		if got := g.went(); got != "xhh" {
			t.Errorf("%q went: high must take the next token", got)
		}
		time.Sleep(2100 * time.Millisecond)
		synctest.Wait()
		if got := g.went(); got != "xhhb" {
			t.Errorf("%q went: bulk has its tokens now", got)
		}
	})
}

func TestAManyPartBulkJobThatWaitsForSlotsHoldsUpNoUrgentOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, 0, nil)
		g.enter(sms.LaneBulk, "b", 10)
		if got := g.open(3); got != "" {
			t.Fatalf("%q went, there is no room for ten", got)
		}
		g.enter(sms.LaneHigh, "h", 1)
		g.enter(sms.LaneNormal, "n", 3)
		if got := g.went(); got != "hn" {
			t.Errorf("%q went, want hn", got)
		}
	})
}

func TestAFloodOfHighDoesNotStarveAManyPartBulkJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, 100, rate.NewLimiter(100, 10))
		g.enter(sms.LaneBulk, "x", 10)
		for range 500 {
			g.enter(sms.LaneHigh, "h", 1)
		}
		g.enter(sms.LaneBulk, "b", 10)
		time.Sleep(4 * time.Second)
		synctest.Wait()
		got := g.went()
		if !strings.Contains(got, "b") {
			t.Errorf("bulk waits behind %d of high", len(got))
		}
	})
}

func TestHighIsNotHeldToAccountForItsLastFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, 1, rate.NewLimiter(100, 1))
		for range 4000 {
			g.enter(sms.LaneBulk, "b", 1)
		}
		for range 300 { // more than it has saved
			g.enter(sms.LaneHigh, "h", 1)
		}
		time.Sleep(8 * time.Second)
		synctest.Wait()
		flood := len(g.went())
		for i := range 50 { // a tenth of the rate, in bursts
			for range 5 {
				g.enter(sms.LaneHigh, strconv.Itoa(i%10), 1)
			}
			time.Sleep(500 * time.Millisecond)
			synctest.Wait()
		}
		late := 0
		for i, c := range g.went()[flood:] {
			if c != 'b' && i%50 > 5 {
				late++
			}
		}
		if late > 0 {
			t.Errorf("%d of 250 high jobs went behind bulk: %s", late, g.went()[flood:])
		}
	})
}

func TestHighSavesTurnsForABurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t, 1, rate.NewLimiter(100, 1))
		for range 500 {
			g.enter(sms.LaneNormal, "n", 1)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		before := len(g.went())
		for range 60 {
			g.enter(sms.LaneHigh, "h", 1)
		}
		time.Sleep(610 * time.Millisecond)
		synctest.Wait()
		if got := g.went()[before:]; got[:60] != strings.Repeat("h", 60) {
			t.Errorf("a burst of high among normal went %s", got)
		}
	})
}

func TestProducersWithoutJobsAreForgotten(t *testing.T) {
	t.Parallel()
	ts, _ := newTestTurnstile(1, nil)
	for i := range 10_000 {
		res, _, err := ts.wait(t.Context(), sms.LaneNormal, "producer-"+strconv.Itoa(i), 1)
		if err != nil {
			t.Fatal(err)
		}
		res.Release()
	}
	if n := len(ts.queues[laneIndex(sms.LaneNormal)].producers); n > 2*fewIdle {
		t.Errorf("%d producers are remembered, none has a job", n)
	}
}

func BenchmarkTurnstileOfManyProducers(b *testing.B) {
	ts, _ := newTestTurnstile(1000, nil)
	var producers [1000]string
	for i := range producers {
		producers[i] = "producer-" + strconv.Itoa(i)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			res, _, err := ts.wait(b.Context(), sms.LaneNormal, producers[i%len(producers)], 1)
			if err != nil {
				b.Fatal(err)
			}
			res.Release()
		}
	})
}

func TestAThrottledJobGoesBeforeThoseThatCameAfterIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ts, slots := newTestTurnstile(0, nil)
		var order []uint64
		var mu sync.Mutex
		enter := func(place uint64, again bool) {
			go func() {
				p, err := ts.waitFor(t.Context(), sms.LaneNormal, "shop", 1, caller{place: place, again: again})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, place)
				mu.Unlock()
				p.turn.Release()
			}()
			synctest.Wait()
		}
		enter(4, false)
		enter(5, false)
		enter(6, false)
		// Their answers come in another order than they were sent.
		enter(2, true)
		enter(3, true)
		enter(1, true)
		slots.mu.Lock()
		slots.free = 1
		slots.mu.Unlock()
		ts.turn()
		synctest.Wait()
		if diff := cmp.Diff([]uint64{1, 2, 3, 4, 5, 6}, order); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

func TestAJobThatIsThrottledAgainAndAgainIsTriedLater(t *testing.T) {
	t.Parallel()
	a := &attempt{}
	for try := 1; ; try++ {
		a.refusal = &sms.Error{Code: sms.CodeThrottled}
		if !a.waits() {
			if try != patience+1 || a.refusal == nil {
				t.Errorf("given up at try %d with %v, want after %d", try, a.refusal, patience+1)
			}
			return
		}
		if a.refusal != nil {
			t.Fatal("it waits with a refusal")
		}
	}
}
