package ratelimit

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

func TestARedisThatRestartsMayHaveForgottenTheLastLeases(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	if !server.Real() {
		t.Skip("needs redis-server: miniredis does not say which server it is")
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { _ = client.Close() })
	worker := func(name string) *Slots {
		return NewSlots(SlotsConfig{Route: "acme", Worker: name, Quota: 4, Lease: time.Second}, client)
	}
	renew := func(s *Slots, use SlotUse) (grant SlotGrant) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; {
			grant, err := s.Renew(t.Context(), use)
			if err == nil {
				return grant
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
	a, b := worker("a"), worker("b")
	thawed := func() {
		for renew(a, SlotUse{Held: 2, Bound: 2, Firm: 2, Wanted: 2}).Frozen > 0 {
		}
	}
	thawed()
	if got := renew(b, SlotUse{Firm: 2, Wanted: 2}); got.Slots != 2 || got.Frozen != 0 {
		t.Errorf("b gets %+v, want 2", got)
	}
	server.Stop()
	server.Restart() // it has all of its data, as it happens
	if got := renew(b, SlotUse{Firm: 2, Wanted: 2}); got.Slots != 0 || got.Frozen == 0 {
		t.Errorf("after a restart b gets %+v, want nothing new", got)
	}
	if got := renew(a, SlotUse{Held: 2, Bound: 2, Firm: 2, Wanted: 2}); got.Slots != 2 {
		t.Errorf("after a restart a has %+v, want its 2", got)
	}
	thawed()
	if got := renew(b, SlotUse{Firm: 2, Wanted: 2}); got.Slots != 2 || got.Frozen != 0 {
		t.Errorf("a lease after the restart b gets %+v, want 2", got)
	}
}
