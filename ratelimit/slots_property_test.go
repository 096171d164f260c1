package ratelimit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// slotFleet is pods and a Redis whose clock is the test's.
type slotFleet struct {
	t     *testing.T
	rand  *rand.Rand
	redis *miniredis.Miniredis
	conn  *redis.Client
	quota int
	now   time.Time
	pods  []*slotPod
	late  []*slotCall // given up, and not yet there
	named int
	moves int // slots that pods were asked to give back

	away    time.Time      // no call arrives before
	past    []slotSnapshot // of what a replica has, in order
	servers int
}

const (
	slotLease  = 6 * time.Second
	slotMargin = slotLease / 12
)

// slotPod goes by what it is told as binds.Pool does, at the time of the fleet.
type slotPod struct {
	slots    *Slots
	want     int
	weak     int // of want
	held     int // may be connected, until the lease ends
	leaving  int // of held
	until    time.Time
	next     time.Time   // of its next call
	stalled  time.Time   // does nothing before
	cut      time.Time   // its calls are lost before, or late
	drains   []time.Time // when leaving ones have left
	inFlight *slotCall
}

// slotCall is on its way to Redis or back.
type slotCall struct {
	of        *Slots
	number    int64
	answered  int64
	use       SlotUse
	asked     time.Time
	arrives   time.Time // zero once it has
	returns   time.Time // zero: the answer is lost
	slots     int
	again     time.Duration
	overtaken bool
	givenUp   time.Time
}

func newSlotFleet(t *testing.T, seed uint64, quota int) *slotFleet {
	m := miniredis.RunT(t)
	c := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = c.Close() })
	return &slotFleet{t: t, rand: rand.New(rand.NewPCG(seed, 0)), redis: m, conn: c, quota: quota, now: time.Unix(1_900_000_000, 0)}
}

func (f *slotFleet) join(want int) *slotPod {
	f.named++
	p := &slotPod{want: want, next: f.now, slots: NewSlots(SlotsConfig{Route: "acme", Worker: fmt.Sprintf("w%d", f.named), Quota: f.quota, Lease: slotLease}, f.conn)}
	f.pods = append(f.pods, p)
	return p
}

// may is how many binds the pod may have now.
func (p *slotPod) may(now time.Time) int {
	if !now.Before(p.until) {
		return 0
	}
	return p.held
}

func (f *slotFleet) total() (n int) {
	for _, p := range f.pods {
		n += p.may(f.now)
	}
	return n
}

// execute runs the script as the call says, at the time of the fleet.
func (f *slotFleet) execute(c *slotCall) {
	if f.now.Before(f.away) {
		c.returns = time.Time{}
		return
	}
	f.redis.SetTime(f.now)
	call, answered := c.of.call, c.of.answered
	c.of.call, c.of.answered = c.number-1, c.answered
	grant, err := c.of.Renew(f.t.Context(), c.use)
	c.of.call, c.of.answered = call, answered
	if err != nil {
		c.overtaken = true
		return
	}
	c.slots, c.again = grant.Slots, grant.Again
}

// step lets d pass. trouble is the share of calls that something happens to.
func (f *slotFleet) step(d time.Duration, trouble float64) {
	f.now = f.now.Add(d)
	for _, p := range f.pods {
		if f.now.Before(p.stalled) {
			continue
		}
		if p.held > 0 && !f.now.Before(p.until) { // closed all
			p.held, p.leaving, p.drains = 0, 0, nil
		}
		p.drains = slices.DeleteFunc(p.drains, func(at time.Time) bool {
			if f.now.Before(at) {
				return false
			}
			p.held--
			p.leaving--
			p.next = f.now
			return true
		})
		p.leaving = min(p.leaving, p.held)
		if p.inFlight == nil && !f.now.Before(p.next) {
			f.begin(p, trouble)
		}
	}
	for _, p := range f.pods {
		c := p.inFlight
		if c == nil {
			continue
		}
		if !c.arrives.IsZero() && !f.now.Before(c.arrives) {
			c.arrives = time.Time{}
			f.execute(c)
		}
		if !c.returns.IsZero() && c.arrives.IsZero() && !f.now.Before(c.returns) && !f.now.Before(p.stalled) {
			p.inFlight = nil
			if f.now.Before(c.givenUp) && !c.overtaken {
				f.answered(p, c)
			}
		} else if !f.now.Before(c.givenUp) && !f.now.Before(p.stalled) {
			p.inFlight, p.next = nil, f.now.Add(250*time.Millisecond)
			f.straggle(c)
		}
	}
	f.late = slices.DeleteFunc(f.late, func(c *slotCall) bool {
		if f.now.Before(c.arrives) {
			return false
		}
		f.execute(c)
		return true
	})
	f.remember()
	if n := f.total(); n > f.quota {
		f.t.Fatalf("%d binds under a quota of %d at %v:%s", n, f.quota, f.now.Sub(time.Unix(1_900_000_000, 0)), f)
	}
}

// straggle lets a call arrive although nobody waits for it any more.
func (f *slotFleet) straggle(c *slotCall) {
	if !c.arrives.IsZero() {
		f.late = append(f.late, c)
	}
}

// kill ends a pod without a word; its binds are closed.
func (f *slotFleet) kill(i int) {
	if c := f.pods[i].inFlight; c != nil {
		f.straggle(c)
	}
	f.pods = slices.Delete(f.pods, i, i+1)
}

func (f *slotFleet) begin(p *slotPod, trouble float64) {
	p.slots.call++
	c := &slotCall{
		of: p.slots, number: p.slots.call, answered: p.slots.answered, asked: f.now, givenUp: f.now.Add(time.Second),
		use: SlotUse{Held: p.held, Bound: p.held - p.leaving, Firm: p.want - p.weak, Wanted: p.want},
	}
	c.arrives = f.now.Add(f.upTo(5 * time.Millisecond))
	c.returns = c.arrives.Add(f.upTo(5 * time.Millisecond))
	switch {
	case f.now.Before(p.cut) && f.rand.IntN(4) > 0:
		c.arrives, c.returns = time.Time{}, time.Time{}
	case f.now.Before(p.cut) || f.rand.Float64() < trouble:
		c.arrives = f.now.Add(f.upTo(2 * time.Second))
		c.returns = c.arrives.Add(f.upTo(2 * time.Second))
		if f.rand.IntN(3) == 0 {
			c.returns = time.Time{}
		}
	}
	p.inFlight = c
}

func (f *slotFleet) answered(p *slotPod, c *slotCall) {
	p.slots.answered = c.number
	until := c.asked.Add(slotLease - slotMargin)
	if !f.now.Before(until) || c.use.Held > 0 && !f.now.Before(p.until) { // the lease that it claimed under is over
		p.next = f.now
		return
	}
	p.until, p.next = until, f.now.Add(c.again)
	for p.held-p.leaving > c.slots {
		p.leaving++
		f.moves++
		p.drains = append(p.drains, f.now.Add(f.upTo(3*time.Second)))
	}
	p.held = max(p.held, min(c.slots, p.want))
}

func (f *slotFleet) upTo(d time.Duration) time.Duration {
	return time.Duration(f.rand.Int64N(int64(d)))
}

func (f *slotFleet) String() string {
	var b strings.Builder
	for _, p := range f.pods {
		fmt.Fprintf(&b, "\n%s wants %d holds %d, %d leaving, lease %v", p.slots.member, p.want, p.held, p.leaving, p.until.Sub(f.now))
	}
	hash, _ := f.conn.HGetAll(context.WithoutCancel(f.t.Context()), slotKey).Result()
	for k, v := range hash {
		fmt.Fprintf(&b, "\n%s: %s", k, v)
	}
	return b.String()
}

// spread is the slots of the pods, falling.
func (f *slotFleet) spread() (all []int) {
	for _, p := range f.pods {
		all = append(all, p.held)
	}
	slices.SortFunc(all, func(a, b int) int { return b - a })
	return all
}

func (f *slotFleet) run(d time.Duration) {
	for end := f.now.Add(d); f.now.Before(end); {
		f.step(40*time.Millisecond, 0)
	}
}

func TestTheSumOfSlotsNeverExceedsTheQuotaAndEndsEven(t *testing.T) {
	t.Parallel()
	for range 2 {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			f := newSlotFleet(t, seed, 1+r.IntN(12))
			for range 200 {
				switch r.IntN(30) {
				case 0, 1, 2:
					if len(f.pods) < 8 {
						f.join(1 + r.IntN(4))
					}
				case 3, 4: // killed
					if len(f.pods) > 0 {
						f.kill(r.IntN(len(f.pods)))
					}
				case 5: // stands still, its timers too; its binds count until the lease ends
					if len(f.pods) > 0 {
						p := f.pods[r.IntN(len(f.pods))]
						p.stalled = f.now.Add(time.Duration(r.Int64N(int64(2 * slotLease))))
					}
				case 6:
					f.redis.FlushAll()
				case 10, 11, 12: // a replica takes over that lagged behind, and some do not reach it
					if len(f.past) > 0 {
						f.promote(f.past[r.IntN(len(f.past))], time.Duration(r.Int64N(int64(slotLease/2))))
						for _, p := range f.pods {
							if r.IntN(3) == 0 {
								p.stalled = f.now.Add(time.Duration(r.Int64N(int64(2 * slotLease))))
							}
						}
					}
				}
				trouble := 0.0
				if r.IntN(3) == 0 {
					trouble = 0.5
				}
				for range 1 + r.IntN(10) {
					f.step(time.Duration(1+r.IntN(200))*time.Millisecond, trouble)
				}
			}
			wanted, most := 0, 0
			for _, p := range f.pods {
				p.weak = 0
				wanted, most = wanted+p.want, max(most, p.want)
			}
			f.run(2*slotLease + 40*time.Second)
			if got, want := f.total(), min(f.quota, wanted); got != want {
				t.Errorf("%d slots held, want %d:%s", got, want, f)
			}
			for _, a := range f.pods {
				for _, b := range f.pods {
					if a.held >= b.held+2 && b.held < b.want {
						t.Errorf("uneven: %d and %d:%s", a.held, b.held, f)
					}
				}
			}
			moves := f.moves
			f.run(20 * time.Second)
			if f.moves != moves {
				t.Errorf("%d slots moved in an even fleet", f.moves-moves)
			}
		})
	}
}

func TestSlotsMoveOnlyAsFarAsTheyMust(t *testing.T) {
	t.Parallel()
	f := newSlotFleet(t, 1, 8)
	type row struct {
		Spread []int
		Moves  int
	}
	var rows []row
	note := func() { rows = append(rows, row{f.spread(), f.moves}) }
	f.join(8)
	f.run(slotLease + 3*time.Second)
	note()
	for range 3 {
		f.join(4)
		f.run(20 * time.Second)
		note()
	}
	f.kill(0)
	f.run(slotLease + 3*time.Second)
	note()
	for range 6 { // nine pods for eight slots
		f.join(2)
	}
	f.run(40 * time.Second)
	note()
	want := []row{
		{[]int{8}, 0},
		{[]int{4, 4}, 4},
		{[]int{3, 3, 2}, 6},
		{[]int{2, 2, 2, 2}, 8},
		{[]int{3, 3, 2}, 8},
		{[]int{1, 1, 1, 1, 1, 1, 1, 1, 0}, 13},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
