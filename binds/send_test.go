package binds

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestEachMessageHasOneReplyWithItsID(t *testing.T) {
	sim := smsctest.Config{Latency: 20 * time.Millisecond}
	bubble(t, sim, Config{Window: 5}, Deps{}, func(t *testing.T, r *rig) {
		replies := r.send(t, 3)
		synctest.Wait()
		var want []sms.Reply
		for i, m := range r.smsc.Submits() {
			want = append(want, sms.Reply{Part: i + 1, RawMessageID: m.MessageID, Bind: "acme/1", Latency: 20 * time.Millisecond})
		}
		if diff := cmp.Diff(want, replies); diff != "" || len(want) != 3 {
			t.Errorf("replies (-want +got):\n%s", diff)
		}
		if r.free() != 5 {
			t.Errorf("%d slots free, want 5", r.free())
		}
	})
}

func TestAStatusBecomesACode(t *testing.T) {
	status := uint32(0)
	sim := smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action { return smsctest.Action{Status: status} }}
	bubble(t, sim, Config{}, Deps{}, func(t *testing.T, r *rig) {
		for s, want := range map[uint32]sms.Error{
			0x58:  {Op: "submit_sm", Code: sms.CodeThrottled, Status: 0x58, StatusName: "ESME_RTHROTTLED", RetryAfter: time.Second},
			0x0B:  {Op: "submit_sm", Code: sms.CodeRejected, Status: 0x0B, StatusName: "ESME_RINVDSTADR"},
			0x101: {Op: "submit_sm", Code: sms.CodeAccount, Status: 0x101, StatusName: "ESME_RPROHIBITED"},
			0x08:  {Op: "submit_sm", Code: sms.CodeTemporary, Status: 0x08, StatusName: "ESME_RSYSERR", RetryAfter: time.Second},
			0x1D:  {Op: "submit_sm", Code: sms.CodeTemporary, Status: 0x1D, StatusName: "reserved", RetryAfter: time.Second, Tries: 2},
			0x432: {Op: "submit_sm", Code: sms.CodeRejected, Status: 0x432, StatusName: "vendor_specific"},
		} {
			status = s
			replies := r.send(t, 1)
			var got *sms.Error
			if len(replies) != 1 || !errors.As(replies[0].Err, &got) {
				t.Fatalf("status %#x: %+v", s, replies)
			}
			if diff := cmp.Diff(want, *got); diff != "" {
				t.Errorf("status %#x (-want +got):\n%s", s, diff)
			}
		}
	})
}

func TestALostConnectionLeavesMessagesUncertainAndSlotsFree(t *testing.T) {
	sim := smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action { return smsctest.Action{Drop: true} }}
	bubble(t, sim, Config{Window: 4}, Deps{}, func(t *testing.T, r *rig) {
		res := r.reserve(t, 3)
		s := res.session
		replies := exchange(t.Context(), res, sms.JobRef{}, parts(3, "447700900123"))
		synctest.Wait()
		r.smsc.CutConnections()
		got := codes(slices.Collect(replies))
		if diff := cmp.Diff([]sms.Code{sms.CodeUncertain, sms.CodeUncertain, sms.CodeUncertain}, got); diff != "" {
			t.Errorf("codes (-want +got):\n%s", diff)
		}
		synctest.Wait()
		if s.Free() != 4 {
			t.Errorf("%d slots free, want 4", s.Free())
		}
		if _, short := r.TryReserve(1); short.Reason != ShortBind {
			t.Errorf("reservation without a bind: %+v", short)
		}
		time.Sleep(2 * time.Second) // back-off of at most a second
		r.reserve(t, 1).Release()
	})
}

func TestAReservationOutlivedByItsBindIsUnavailable(t *testing.T) {
	bubble(t, smsctest.Config{}, Config{Window: 4}, Deps{}, func(t *testing.T, r *rig) {
		res := r.reserve(t, 3)
		s := res.session
		r.smsc.CutConnections()
		synctest.Wait()
		got := codes(slices.Collect(exchange(t.Context(), res, sms.JobRef{}, parts(3, "447700900123"))))
		if diff := cmp.Diff([]sms.Code{sms.CodeUnavailable, sms.CodeUnavailable, sms.CodeUnavailable}, got); diff != "" {
			t.Errorf("codes (-want +got):\n%s", diff)
		}
		if s.Free() != 4 {
			t.Errorf("%d slots free, want 4", s.Free())
		}
	})
}

func TestTheEndOfTheContextEndsSendAndLateAnswersAreTold(t *testing.T) {
	type late struct {
		job  string
		part int
		id   string
	}
	told := make(chan late, 8)
	deps := Deps{Late: func(_ context.Context, ref sms.JobRef, a sms.Accepted) {
		told <- late{ref.JobID, a.Part, a.RawMessageID}
	}}
	n := 0
	sim := smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action {
		n++
		return smsctest.Action{MessageID: string(rune('a' + n - 1)), Hold: n > 1}
	}}
	bubble(t, sim, Config{Window: 3}, deps, func(t *testing.T, r *rig) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		// Five parts over three slots: one answered, and one more sent in its
		// place; three are open and one is unwritten when the context ends.
		replies := slices.Collect(exchange(ctx, r.reserve(t, 5), sms.JobRef{JobID: "job"}, parts(5, "447700900123")))
		want := []sms.Code{"", sms.CodeUncertain, sms.CodeUncertain, sms.CodeUncertain, sms.CodeUnavailable}
		if diff := cmp.Diff(want, codes(replies)); diff != "" {
			t.Errorf("codes (-want +got):\n%s", diff)
		}
		if r.free() != 0 {
			t.Errorf("%d slots free while the SMSC holds three messages", r.free())
		}
		r.smsc.ReleaseHeld(false)
		synctest.Wait()
		if r.free() != 3 {
			t.Errorf("%d slots free, want 3", r.free())
		}
		var got []late
		for len(told) > 0 {
			got = append(got, <-told)
		}
		slices.SortFunc(got, func(a, b late) int { return a.part - b.part })
		if diff := cmp.Diff([]late{{"job", 2, "b"}, {"job", 3, "c"}, {"job", 4, "d"}}, got, cmp.AllowUnexported(late{})); diff != "" {
			t.Errorf("late (-want +got):\n%s", diff)
		}
		// With a context that has ended nothing is written at all.
		before := r.smsc.Stats().Submits
		if c := codes(slices.Collect(exchange(ctx, r.reserve(t, 1), sms.JobRef{}, parts(1, "447700900123")))); c[0] != sms.CodeUnavailable {
			t.Errorf("got %v", c)
		}
		synctest.Wait()
		if after := r.smsc.Stats().Submits; after != before || r.free() != 3 {
			t.Errorf("%d written, %d slots free", after-before, r.free())
		}
	})
}

func TestWhoDoesNotWaitForAReplyIsToldOrAbandonsIt(t *testing.T) {
	late := make(chan string, 8)
	deps := Deps{Late: func(_ context.Context, ref sms.JobRef, a sms.Accepted) { late <- ref.JobID + a.RawMessageID }}
	sim := smsctest.Config{OnSubmit: func(m *smsctest.Submit) smsctest.Action {
		switch m.Destination {
		case "447700900001":
			return smsctest.Action{Status: 0x58}
		case "447700900002":
			return smsctest.Action{MessageID: "b", Hold: true}
		case "447700900003":
			return smsctest.Action{Drop: true}
		}
		return smsctest.Action{MessageID: "a"}
	}}
	bubble(t, sim, Config{Window: 2}, deps, func(t *testing.T, r *rig) {
		told := make(chan sms.Reply, 8)
		send := func(to string) *Reservation {
			res := r.reserve(t, 1)
			res.SendThen(&sms.JobRef{JobID: to}, parts(1, to)[0], func(reply sms.Reply) { told <- reply })
			synctest.Wait()
			return res
		}
		want := func(when, id string, code sms.Code) {
			t.Helper()
			if len(told) != 1 {
				t.Fatalf("%s: %d replies", when, len(told))
			}
			if got := <-told; got.RawMessageID != id || codes([]sms.Reply{got})[0] != code || got.Bind != "acme/1" {
				t.Errorf("%s: %+v", when, got)
			}
		}
		send("447700900000")
		want("accepted", "a", "")
		send("447700900001")
		want("throttled", "", sms.CodeThrottled)

		open := send("447700900002")
		if !open.Abandon() || open.Abandon() {
			t.Error("what is open cannot be abandoned, or twice")
		}
		if r.free() != 1 {
			t.Errorf("%d slots free while the SMSC holds a message", r.free())
		}
		send("447700900000") // on another reservation than the abandoned one
		want("accepted beside it", "a", "")
		r.smsc.ReleaseHeld(false)
		synctest.Wait()
		if len(told) != 0 || len(late) != 1 || <-late != "447700900002b" {
			t.Error("an acceptance that was abandoned is not told as late")
		}

		send("447700900003")
		r.smsc.CutConnections()
		synctest.Wait()
		want("cut", "", sms.CodeUncertain)
		time.Sleep(2 * time.Second) // back-off of at most a second
		ended := r.reserve(t, 1)
		r.smsc.CutConnections()
		synctest.Wait()
		ended.SendThen(&sms.JobRef{}, parts(1, "447700900000")[0], func(reply sms.Reply) { told <- reply })
		want("after the end of its bind", "", sms.CodeUnavailable)
		time.Sleep(2 * time.Second)
		if r.free() != 2 {
			t.Errorf("%d slots free, want 2", r.free())
		}
	})
}

// Reservations are used again; one that a session may still name must not be.
func TestALateAnswerNamesItsJobThoughOthersCameSince(t *testing.T) {
	for name, wait := range map[string]time.Duration{"given up by its sender": time.Second, "timed out": time.Hour} {
		t.Run(name, func(t *testing.T) {
			told := make(chan string, 8)
			deps := Deps{Late: func(_ context.Context, ref sms.JobRef, a sms.Accepted) { told <- ref.JobID + " " + a.RawMessageID }}
			n := 0
			sim := smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action {
				n++
				return smsctest.Action{MessageID: string(rune('a' + n - 1)), Hold: n == 1}
			}}
			bubble(t, sim, Config{ResponseTimeout: time.Minute, EnquireLink: time.Second}, deps, func(t *testing.T, r *rig) {
				ctx, cancel := context.WithTimeout(t.Context(), wait)
				defer cancel()
				got := codes(slices.Collect(exchange(ctx, r.reserve(t, 1), sms.JobRef{JobID: "first"}, parts(1, "447700900123"))))
				if got[0] != sms.CodeUncertain {
					t.Errorf("got %v", got)
				}
				for range 5 {
					r.send(t, 1)
				}
				r.smsc.ReleaseHeld(false)
				synctest.Wait()
				close(told)
				if g := <-told; g != "first a" {
					t.Errorf("late answer is told as %q", g)
				}
			})
		})
	}
}

func TestMoreMessagesThanSlotsGoOneAfterTheOther(t *testing.T) {
	sim := smsctest.Config{Latency: time.Second}
	bubble(t, sim, Config{Window: 2}, Deps{}, func(t *testing.T, r *rig) {
		start := time.Now()
		replies := r.send(t, 7)
		if diff := cmp.Diff(make([]sms.Code, 7), codes(replies)); diff != "" {
			t.Errorf("codes (-want +got):\n%s", diff)
		}
		if took := time.Since(start); took != 4*time.Second {
			t.Errorf("seven messages, two at a time, took %s", took)
		}
		synctest.Wait()
		if st := r.smsc.Stats(); st.MaxWindow != 2 || r.free() != 2 {
			t.Errorf("%d outstanding at the SMSC, %d slots free", st.MaxWindow, r.free())
		}
	})
}

func TestFewerMessagesThanReservedGiveTheRestBack(t *testing.T) {
	bubble(t, smsctest.Config{Latency: time.Second}, Config{Window: 10}, Deps{}, func(t *testing.T, r *rig) {
		replies := exchange(t.Context(), r.reserve(t, 5), sms.JobRef{}, parts(2, "447700900123"))
		if r.free() != 8 {
			t.Errorf("%d slots free, want 8", r.free())
		}
		_ = slices.Collect(replies)
		if got := slices.Collect(exchange(t.Context(), r.reserve(t, 5), sms.JobRef{}, nil)); len(got) != 0 || r.free() != 10 {
			t.Errorf("%d replies to nothing, %d slots free", len(got), r.free())
		}
	})
}

func TestReservationsGoWhereMostSlotsAreFree(t *testing.T) {
	bubble(t, smsctest.Config{Latency: time.Second}, Config{Binds: 3, Window: 4}, Deps{}, func(t *testing.T, r *rig) {
		on := map[string]int{}
		var open []iter.Seq[sms.Reply]
		for range 12 {
			res := r.reserve(t, 1)
			on[res.Bind()]++
			open = append(open, exchange(t.Context(), res, sms.JobRef{}, parts(1, "447700900123")))
		}
		if diff := cmp.Diff(map[string]int{"acme/1": 4, "acme/2": 4, "acme/3": 4}, on); diff != "" {
			t.Errorf("reservations (-want +got):\n%s", diff)
		}
		var told atomic.Int64
		r.Notify(func() { told.Add(1) })
		if _, short := r.TryReserve(1); short.Reason != ShortWindow {
			t.Errorf("a full pool: %+v", short)
		}
		for _, replies := range open {
			_ = slices.Collect(replies)
		}
		synctest.Wait()
		// Once for each bind whose window was missed.
		if n := told.Load(); n != 3 {
			t.Errorf("told %d times, want 3", n)
		}
	})
}

// tokens is a limiter that gives out what it has, and then asks to wait.
type tokens struct{ n int }

func (l *tokens) Take(n int) time.Duration {
	if n > l.n {
		return 7 * time.Second
	}
	l.n -= n
	return 0
}

func (l *tokens) Return(n int) { l.n += n }

func TestABindAtItsRateLeavesItToOthers(t *testing.T) {
	limits := map[string]*tokens{"acme/1": {2}, "acme/2": {3}}
	deps := Deps{Limiter: func(bind string) Limiter { return limits[bind] }}
	bubble(t, smsctest.Config{}, Config{Binds: 2}, deps, func(t *testing.T, r *rig) {
		var open []*Reservation
		for range 5 {
			open = append(open, r.reserve(t, 1))
		}
		if _, short := r.TryReserve(1); short != (Shortage{Reason: ShortRate, Wait: 7 * time.Second}) {
			t.Errorf("both at their rate: %+v", short)
		}
		for _, res := range open {
			res.Release()
		}
		if limits["acme/1"].n != 2 || limits["acme/2"].n != 3 {
			t.Errorf("%d and %d tokens are left of turns that nobody used, want 2 and 3", limits["acme/1"].n, limits["acme/2"].n)
		}
		if r.free() != 20 {
			t.Errorf("%d slots free, want 20", r.free())
		}
	})
}

func TestInboundMessagesNameTheirBind(t *testing.T) {
	got := make(chan string, 1)
	deps := Deps{Deliver: each(func(_ context.Context, bind string, in *smpp.Inbound) uint32 {
		got <- bind + " " + in.Message.Source.Addr
		return 0
	})}
	bubble(t, smsctest.Config{}, Config{}, deps, func(t *testing.T, r *rig) {
		r.smsc.DeliverMO(smsctest.MO{SystemID: "acme", Source: "447700900123", Destination: "ACME"})
		if g := <-got; g != "acme/1 447700900123" {
			t.Errorf("got %q", g)
		}
		if err := r.smsc.WaitFor(t.Context(), func(st smsctest.Stats) bool { return st.MOs.Acked == 1 }); err != nil {
			t.Error(err)
		}
	})
}
