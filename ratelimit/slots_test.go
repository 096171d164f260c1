package ratelimit

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// worker is one more holder at the fleet's Redis.
func (f *slotFleet) worker(name string) *Slots {
	return NewSlots(SlotsConfig{Route: "acme", Worker: name, Quota: f.quota, Lease: slotLease}, f.conn)
}

// renew is a call that arrives at once.
func (f *slotFleet) renew(s *Slots, use SlotUse) SlotGrant {
	f.t.Helper()
	f.redis.SetTime(f.now)
	grant, err := s.Renew(f.t.Context(), use)
	if err != nil {
		f.t.Fatal(err)
	}
	return grant
}

// thaw lets the time pass in which an empty Redis grants nothing, and those who
// came are new.
func (f *slotFleet) thaw(came ...*Slots) {
	f.renew(f.worker("first"), SlotUse{})
	f.now = f.now.Add(slotLease / 2)
	for _, s := range came {
		f.renew(s, SlotUse{Wanted: 1})
	}
	f.now = f.now.Add(slotLease / 2)
}

func TestACallThatIsOvertakenChangesNothing(t *testing.T) {
	t.Parallel()
	f := newSlotFleet(t, 1, 2)
	f.thaw()
	a, b := f.worker("a"), f.worker("b")
	a.call = 7
	if got := f.renew(a, SlotUse{Firm: 2, Wanted: 2}).Slots; got != 2 {
		t.Fatalf("a alone may hold %d, want 2", got)
	}
	a.call = 3
	if _, err := a.Renew(t.Context(), SlotUse{Firm: 2, Wanted: 2}); err == nil {
		t.Error("a call from before was answered")
	}
	if got := f.renew(b, SlotUse{Firm: 2, Wanted: 2}); got.Slots != 0 || got.Granted != 2 || got.Workers != 2 {
		t.Errorf("while a may hold 2 of 2, b gets %+v", got)
	}
}

func TestAnEmptyRedisTakesEverybodysWordAndGrantsNothingNewForOneLease(t *testing.T) {
	t.Parallel()
	f := newSlotFleet(t, 1, 4)
	a, b := f.worker("a"), f.worker("b")
	got := f.renew(a, SlotUse{Held: 2, Bound: 2, Firm: 4, Wanted: 4})
	if got.Slots != 2 || got.Frozen != slotLease {
		t.Errorf("a says 2: %+v", got)
	}
	f.now = f.now.Add(slotLease / 2)
	f.renew(b, SlotUse{Firm: 2, Wanted: 2})
	f.now = f.now.Add(slotLease/2 - time.Millisecond)
	if got := f.renew(b, SlotUse{Firm: 2, Wanted: 2}); got.Slots != 0 || got.Frozen != time.Millisecond {
		t.Errorf("b, which has none: %+v", got)
	}
	f.renew(a, SlotUse{Held: 2, Bound: 2, Firm: 4, Wanted: 4})
	f.now = f.now.Add(time.Millisecond)
	if got := f.renew(b, SlotUse{Firm: 2, Wanted: 2}); got.Slots != 2 || got.Frozen != 0 {
		t.Errorf("b after a lease: %+v", got)
	}
}

func TestTheFleetTriesFewerBindsForAWhileAfterARefusal(t *testing.T) {
	t.Parallel()
	f := newSlotFleet(t, 1, 4)
	var ws []*Slots
	for i := range 4 {
		ws = append(ws, f.worker(fmt.Sprint("w", i)))
	}
	f.thaw(ws...)
	for _, w := range ws {
		f.renew(w, SlotUse{Firm: 1, Wanted: 1})
	}
	bound := SlotUse{Held: 1, Bound: 1, Firm: 1, Wanted: 1}
	refused := SlotUse{Held: 1, Wanted: 1, Refused: 1, Hold: 30 * time.Second}
	f.renew(ws[0], bound)
	f.renew(ws[1], bound)
	var limits []int
	note := func(g SlotGrant) SlotGrant { limits = append(limits, g.Limit); return g }
	// The SMSC has room for two: w2 and w3 are refused. A client repeats the one
	// call since its answer was lost, a pool what was in the other.
	note(f.renew(ws[2], refused))
	ws[2].call--
	note(f.renew(ws[2], refused))
	refused.Refused = 3
	note(f.renew(ws[3], refused))
	for i, want := range []int{1, 1, 0, 0} {
		use := bound
		if i >= 2 {
			use = SlotUse{Held: 1, Wanted: 1}
		}
		if got := f.renew(ws[i], use).Slots; got != want {
			t.Errorf("w%d may hold %d, want %d: who is bound stays", i, got, want)
		}
	}
	refused.Refused = 1
	// Again after each hold: doubled. Much later: from the beginning.
	seek := func() (passed time.Duration) {
		for ; ; passed += 5 * time.Second {
			f.renew(ws[0], bound)
			f.renew(ws[1], bound)
			if g := f.renew(ws[2], SlotUse{Wanted: 1}); g.Slots > 0 {
				return passed
			}
			f.now = f.now.Add(5 * time.Second)
		}
	}
	var holds []time.Duration
	for range 3 {
		holds = append(holds, seek())
		note(f.renew(ws[2], refused))
		f.renew(ws[2], SlotUse{Wanted: 1})
	}
	f.now = f.now.Add(time.Hour)
	f.renew(ws[0], bound)
	f.renew(ws[1], bound)
	f.renew(ws[2], SlotUse{Wanted: 1})
	note(f.renew(ws[2], refused))
	f.renew(ws[2], SlotUse{Wanted: 1})
	holds = append(holds, seek())
	if diff := cmp.Diff([]int{3, 3, 2, 2, 2, 2, 2}, limits); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]time.Duration{30 * time.Second, 60 * time.Second, 120 * time.Second, 30 * time.Second}, holds); diff != "" {
		t.Errorf("holds (-want +got):\n%s", diff)
	}
}

func TestWhoCannotBindGivesWayToWhoMay(t *testing.T) {
	t.Parallel()
	f := newSlotFleet(t, 1, 2)
	f.thaw()
	a, b := f.worker("a"), f.worker("b")
	f.renew(a, SlotUse{Firm: 2, Wanted: 2})
	doubtful := SlotUse{Held: 2, Wanted: 2}
	if got := f.renew(a, doubtful).Slots; got != 2 {
		t.Errorf("alone, a may hold %d, want 2", got)
	}
	f.renew(b, SlotUse{Firm: 2, Wanted: 2})
	f.now = f.now.Add(slotLease / 3)
	for held := 2; held > 0; held-- {
		doubtful.Held = held
		if got := f.renew(a, doubtful).Slots; got != held-1 {
			t.Errorf("a holds %d and may hold %d", held, got)
		}
	}
	doubtful.Held = 0
	f.renew(a, doubtful)
	if got := f.renew(b, SlotUse{Firm: 2, Wanted: 2}).Slots; got != 2 {
		t.Errorf("b may hold %d, want 2", got)
	}
	if got := f.renew(a, doubtful).Slots; got != 0 {
		t.Errorf("a gets %d back", got)
	}
}

func TestAFreeSlotGoesToTheNeediest(t *testing.T) {
	t.Parallel()
	f := newSlotFleet(t, 1, 6)
	much, some, none := f.worker("a"), f.worker("b"), f.worker("c")
	f.thaw(much, some, none)
	var got []int
	ask := func(s *Slots, held int) {
		got = append(got, f.renew(s, SlotUse{Held: held, Bound: held, Firm: 5, Wanted: 5}).Slots)
	}
	ask(much, 5)
	ask(some, 1)
	ask(none, 0)
	ask(much, 5) // is to give one back
	ask(much, 4) // has, and is to give another
	ask(some, 1)
	ask(none, 0)
	if diff := cmp.Diff([]int{5, 1, 0, 4, 3, 1, 1}, got); diff != "" {
		t.Errorf("slots (-want +got):\n%s", diff)
	}
}
