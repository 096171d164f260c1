package ratelimit_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/ratelimit"
	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

func pauses(t *testing.T) (*ratelimit.Pauses, *redis.Client) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr})
	t.Cleanup(func() { _ = client.Close() })
	return ratelimit.NewPauses(client, ""), client
}

func listed(t *testing.T, p *ratelimit.Pauses) []ratelimit.Pause {
	t.Helper()
	all, err := p.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// awaitNone waits until nothing is paused.
func awaitNone(t *testing.T, p *ratelimit.Pauses) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for len(listed(t, p)) > 0 {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still paused: %v", listed(t, p))
		}
	}
}

var whatOnly = cmpopts.IgnoreFields(ratelimit.Pause{}, "Since", "Until", "Left")

func TestPausesHoldUntilTheyAreResumed(t *testing.T) {
	t.Parallel()
	p, client := pauses(t)
	route := ratelimit.Pause{Route: "acme", By: "ada@desk", Reason: `the SMSC's "window"`}
	lane := ratelimit.Pause{Route: "acme", Lane: "bulk", By: "ada@desk"}
	other := ratelimit.Pause{Route: "beta", Lane: "bulk", By: "bob@desk"}
	for _, what := range []ratelimit.Pause{lane, other, route} {
		set, err := p.Set(t.Context(), what, 0)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(what, set, whatOnly); diff != "" || set.Since.IsZero() || !set.Until.IsZero() {
			t.Errorf("set %+v (-want +got):\n%s", set, diff)
		}
	}
	if diff := cmp.Diff([]ratelimit.Pause{route, lane, other}, listed(t, p), whatOnly); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	if ttl := client.TTL(t.Context(), "sw:pauses").Val(); ttl != -1 {
		t.Errorf("pauses without an end are forgotten in %v", ttl)
	}
	ended, err := p.End(t.Context(), "acme", "", "high", "normal", "bulk")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]ratelimit.Pause{route, lane}, ended, whatOnly); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
	if ended, err := p.End(t.Context(), "acme", "bulk"); err != nil || len(ended) != 0 {
		t.Errorf("resumed what was not paused: %v, %v", ended, err)
	}
	if diff := cmp.Diff([]ratelimit.Pause{other}, listed(t, p), whatOnly); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestAPauseForAWhileEndsByRedisTime(t *testing.T) {
	t.Parallel()
	p, client := pauses(t)
	set, err := p.Set(t.Context(), ratelimit.Pause{Route: "acme", By: "ada@desk"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if set.Left != time.Hour || set.Until.Sub(set.Since) != time.Hour {
		t.Errorf("left %v, from %v until %v", set.Left, set.Since, set.Until)
	}
	if ttl := client.PTTL(t.Context(), "sw:pauses").Val(); ttl < time.Hour || ttl > time.Hour+2*time.Minute {
		t.Errorf("the last pause ends in an hour, its key in %v", ttl)
	}
	if _, err := p.Set(t.Context(), ratelimit.Pause{Route: "acme", By: "ada@desk"}, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	awaitNone(t, p)
	if ended, err := p.End(t.Context(), "acme", ""); err != nil || len(ended) != 0 {
		t.Errorf("resumed what was over: %v, %v", ended, err)
	}
}

func TestWhatIsNoPauseIsAnErrorAndNotTheEndOfOne(t *testing.T) {
	t.Parallel()
	p, client := pauses(t)
	for _, value := range []string{"", "soon", "1 2", "1 0 {", "x 0 {}", "1 x {}"} {
		client.HSet(t.Context(), "sw:pauses", "acme", value)
		if all, err := p.List(t.Context()); err == nil {
			t.Errorf("%q is read as %v", value, all)
		}
	}
}
