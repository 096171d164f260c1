package ratelimit

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// slotSnapshot is what Redis held.
type slotSnapshot struct {
	at   time.Time
	hash map[string]string
}

const slotKey = "sw:b:{acme}"

// remember notes what Redis holds, for a replica that lags behind.
func (f *slotFleet) remember() {
	for len(f.past) > 0 && f.now.Sub(f.past[0].at) >= slotLease/3 {
		f.past = f.past[1:]
	}
	hash, err := f.conn.HGetAll(f.t.Context(), slotKey).Result()
	if err != nil {
		f.t.Fatal(err)
	}
	f.past = append(f.past, slotSnapshot{f.now, hash})
}

// promote has a server take over, after so long, that lacks what was written
// after the snapshot.
func (f *slotFleet) promote(s slotSnapshot, after time.Duration) {
	f.servers++
	f.away, f.past = f.now.Add(after), nil
	f.redis.FlushAll()
	if len(s.hash) == 0 {
		return
	}
	fields := []any{"!server", fmt.Sprint("server ", f.servers)} // miniredis does not say which it is
	for k, v := range s.hash {
		if k != "!server" {
			fields = append(fields, k, v)
		}
	}
	if err := f.conn.HSet(f.t.Context(), slotKey, fields...).Err(); err != nil {
		f.t.Fatal(err)
	}
}

func TestAServerThatTakesOverGrantsAgainOnceAllHaveSaidWhatTheyHold(t *testing.T) {
	t.Parallel()
	const away = 3 * time.Second
	lapsed := SlotUse{Firm: 2, Wanted: 2}
	held := SlotUse{Held: 2, Bound: 2, Firm: 2, Wanted: 2}
	for name, c := range map[string]struct {
		away time.Duration
		lost func(f *slotFleet, a, b *Slots) // from the replica
		call func(f *slotFleet, a, b *Slots) (last SlotGrant)
		want SlotGrant // of it
	}{
		"all leases have lapsed": {away: away,
			call: func(f *slotFleet, a, b *Slots) SlotGrant { f.renew(a, lapsed); return f.renew(b, lapsed) },
			want: SlotGrant{Slots: 2, Granted: 2, Again: slotLease / 4}},
		"the replica took longer than a lease": {away: 5 * slotLease,
			call: func(f *slotFleet, a, b *Slots) SlotGrant { f.renew(a, lapsed); return f.renew(b, lapsed) },
			want: SlotGrant{Slots: 2, Granted: 2, Again: slotLease / 4}},
		"one still holds its own": {away: away,
			call: func(f *slotFleet, a, b *Slots) SlotGrant { f.renew(a, held); return f.renew(b, lapsed) },
			want: SlotGrant{Slots: 2, Granted: 4, Again: slotLease / 4}},
		"one has not called": {away: away,
			call: func(f *slotFleet, a, b *Slots) SlotGrant { f.renew(a, lapsed); return f.renew(a, lapsed) },
			want: SlotGrant{Granted: 2, Frozen: slotLease, Again: slotLease / 12}},
		"one left meanwhile": {away: away,
			call: func(f *slotFleet, a, b *Slots) SlotGrant {
				f.renew(a, lapsed)
				f.renew(a, SlotUse{})
				return f.renew(b, lapsed)
			},
			want: SlotGrant{Slots: 2, Granted: 2, Again: slotLease / 4}},
		"what one was answered is not there": {away: away,
			lost: func(f *slotFleet, a, _ *Slots) { f.renew(a, held) },
			call: func(f *slotFleet, a, b *Slots) SlotGrant {
				f.renew(a, lapsed)
				f.renew(b, lapsed)
				return f.renew(a, lapsed)
			},
			want: SlotGrant{Frozen: slotLease, Again: slotLease / 12}},
		"it does not know one that calls": {away: away,
			lost: func(f *slotFleet, a, b *Slots) { f.renew(f.worker("lost"), lapsed) },
			call: func(f *slotFleet, a, b *Slots) SlotGrant {
				other := f.worker("other")
				other.answered = 1
				f.renew(other, lapsed)
				f.renew(a, lapsed)
				return f.renew(b, lapsed)
			},
			want: SlotGrant{Frozen: slotLease, Again: slotLease / 12}},
		"a third takes over before all have called": {away: away,
			call: func(f *slotFleet, a, b *Slots) SlotGrant {
				f.renew(a, lapsed)
				f.remember()
				f.promote(f.past[0], 0)
				return f.renew(a, lapsed)
			},
			want: SlotGrant{Granted: 2, Frozen: slotLease, Again: slotLease / 12}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newSlotFleet(t, 1, 4)
			a, b := f.worker("a"), f.worker("b")
			f.thaw(a, b)
			f.renew(a, held)
			f.renew(b, held)
			f.remember()
			replica := f.past[len(f.past)-1]
			if c.lost != nil {
				c.lost(f, a, b)
			}
			f.promote(replica, 0)
			f.now = f.now.Add(c.away)
			got := c.call(f, a, b)
			got.Until, got.Limit, got.Workers = time.Time{}, 0, 0
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("last answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhoComesToOthersGetsNothingBeforeAReplicaKnowsOfIt(t *testing.T) {
	t.Parallel()
	f := newSlotFleet(t, 1, 8)
	a, b := f.worker("a"), f.worker("b")
	f.thaw()
	wants := SlotUse{Firm: 2, Wanted: 2}
	if got := f.renew(a, wants); got.Slots != 2 || got.Again != slotLease/4 {
		t.Errorf("a comes first: %+v", got)
	}
	if got := f.renew(b, wants); got.Slots != 0 || got.Frozen != 0 || got.Again != slotLease/4 {
		t.Errorf("b comes: %+v", got)
	}
	f.now = f.now.Add(slotLease/3 - 100*time.Millisecond)
	if got := f.renew(b, wants); got.Slots != 0 || got.Again != 100*time.Millisecond {
		t.Errorf("b shortly before: %+v", got)
	}
	f.now = f.now.Add(100 * time.Millisecond)
	if got := f.renew(b, wants); got.Slots != 2 || got.Again != slotLease/4 {
		t.Errorf("b then: %+v", got)
	}
	c := f.worker("c")
	f.renew(c, wants)
	f.now = f.now.Add(-time.Hour) // Redis's clock is set
	if got := f.renew(c, wants); got.Frozen != slotLease {
		t.Errorf("c, when the clock was set: %+v", got)
	}
	f.now = f.now.Add(slotLease)
	if got := f.renew(c, wants); got.Slots != 2 {
		t.Errorf("c, after the clock was set: %+v", got)
	}
}
