package binds

import (
	"context"
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

// cut ends the connections of one bind type.
func (r *rig) cut(t *testing.T, command uint32) {
	t.Helper()
	for _, b := range r.smsc.Binds() {
		if b.CommandID == command && b.Until.IsZero() {
			if err := r.smsc.Cut(b.ID); err != nil {
				t.Error(err)
			}
		}
	}
	synctest.Wait()
}

// states returns the state of each bind by its name.
func (r *rig) states() map[string]State {
	out := map[string]State{}
	for _, s := range r.Snapshot() {
		out[s.Bind] = s.State
	}
	return out
}

func TestAPairSubmitsOnOneSessionAndHearsReceiptsOnTheOther(t *testing.T) {
	var receipts atomic.Pointer[[]string]
	receipts.Store(new([]string))
	deps := Deps{Deliver: each(func(_ context.Context, bind string, in *smpp.Inbound) uint32 {
		all := append(slices.Clone(*receipts.Load()), bind)
		receipts.Store(&all)
		return 0
	})}
	bubble(t, smsctest.Config{}, Config{Pair: true, Window: 7}, deps, func(t *testing.T, r *rig) {
		msgs := parts(1, "447700900123")
		msgs[0].RegisteredDelivery = 1
		got := slices.Collect(exchange(t.Context(), r.reserve(t, 1), sms.JobRef{}, msgs))
		if len(got) != 1 || got[0].Err != nil || got[0].Bind != "acme/1/tx" {
			t.Errorf("replies: %+v", got)
		}
		synctest.Wait()
		if diff := cmp.Diff([]string{"acme/1/rx"}, *receipts.Load()); diff != "" {
			t.Errorf("receipts came on (-want +got):\n%s", diff)
		}
		tx, rx := r.Snapshot()[0], r.Snapshot()[1]
		if tx.Type != smpp.Transmitter || tx.Window != 7 || rx.Type != smpp.Receiver || rx.Window != 0 || tx.InterfaceVersion != 0x34 {
			t.Errorf("status of the two:\n%+v\n%+v", tx, rx)
		}
		if r.Bound() != 1 || r.Wanted() != 1 {
			t.Errorf("%d bound of %d wanted, want 1 of 1: a pair is one bind", r.Bound(), r.Wanted())
		}
	})
}

func TestHalfAPairWorksWithoutTheOther(t *testing.T) {
	var mos atomic.Int64
	deps := Deps{Deliver: each(func(context.Context, string, *smpp.Inbound) uint32 { mos.Add(1); return 0 })}
	refuse := atomic.Uint32{}
	sim := smsctest.Config{OnBind: func(b *smsctest.BindRequest) uint32 {
		if b.CommandID == refuse.Load() {
			return smsctest.RSYSERR
		}
		return smsctest.ROK
	}}
	bubble(t, sim, Config{Pair: true}, deps, func(t *testing.T, r *rig) {
		refuse.Store(smsctest.BindReceiver)
		r.cut(t, smsctest.BindReceiver)
		if got := codes(r.send(t, 1)); got[0] != "" {
			t.Errorf("without a receiver a message ends with %v", got)
		}
		if diff := cmp.Diff(map[string]State{"acme/1/tx": StateBound, "acme/1/rx": StateBackoff}, r.states()); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}

		refuse.Store(smsctest.BindTransmitter)
		time.Sleep(10 * time.Minute)
		r.cut(t, smsctest.BindTransmitter)
		if _, short := r.TryReserve(1); short.Reason != ShortBind {
			t.Errorf("without a transmitter: %+v", short)
		}
		r.smsc.DeliverMO(smsctest.MO{SystemID: "acme", Source: "447700900123", Destination: "1234", ShortMessage: []byte("STOP")})
		synctest.Wait()
		if mos.Load() != 1 {
			t.Errorf("without a transmitter %d messages came in, want 1", mos.Load())
		}
		if diff := cmp.Diff(map[string]State{"acme/1/tx": StateBackoff, "acme/1/rx": StateBound}, r.states()); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
	})
}
