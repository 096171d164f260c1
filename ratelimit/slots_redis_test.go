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
	has, wants := SlotUse{Held: 2, Bound: 2, Firm: 2, Wanted: 2}, SlotUse{Firm: 2, Wanted: 2}
	await := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !done(); {
			if time.Now().After(deadline) {
				t.Fatalf("after 30 s: not %s", what)
			}
		}
	}
	await("thawed", func() bool { return renew(a, has).Frozen == 0 })
	await("2 for b", func() bool { return renew(b, wants).Slots == 2 && renew(a, has).Slots == 2 })
	restart := func() {
		server.Stop()
		server.Restart() // it has all of its data, as it happens
		if got := renew(b, wants); got.Slots != 0 || got.Frozen == 0 {
			t.Errorf("after a restart b gets %+v, want nothing new", got)
		}
	}
	restart()
	if got := renew(a, has); got.Slots != 2 || got.Frozen != 0 {
		t.Errorf("after a restart a has %+v, want its 2, and all have called", got)
	}
	if got := renew(b, wants); got.Slots != 2 || got.Frozen != 0 {
		t.Errorf("after both have called b gets %+v, want 2", got)
	}
	restart() // and a is dead
	await("a lease after the restart 2 for b", func() bool { got := renew(b, wants); return got.Slots == 2 && got.Frozen == 0 })
}
