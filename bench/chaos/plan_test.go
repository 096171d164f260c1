package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/load"
)

func TestSeedRepeatsTheScenario(t *testing.T) {
	t.Parallel()
	type order struct {
		Job    load.Job
		Expect judge.Job
	}
	collect := func(seed uint64) (all []order) {
		for j, e := range newPlan(seed).orders(500) {
			all = append(all, order{j, e})
		}
		return all
	}
	if d := cmp.Diff(newPlan(7).String(), newPlan(7).String()); d != "" {
		t.Errorf("plans of one seed differ:\n%s", d)
	}
	if d := cmp.Diff(collect(7), collect(7)); d != "" {
		t.Errorf("jobs of one seed differ:\n%s", d)
	}
	if cmp.Equal(collect(7), collect(8)) {
		t.Error("two seeds give the same jobs")
	}
}

func TestPlansHaveTheirFaultsInOrderAndEveryKind(t *testing.T) {
	t.Parallel()
	kinds := map[string]bool{}
	for seed := range uint64(200) {
		p := newPlan(seed)
		if !(0 < p.killAt && p.killAt < p.replaceAt && p.replaceAt < p.natsAt && p.natsAt < p.redisAt && p.redisAt < 1) {
			t.Errorf("seed %d: faults out of order: %s", seed, p)
		}
		kinds[p.natsSignal.String()] = true
		kinds[map[bool]string{true: "redis killed", false: "redis frozen"}[p.redisKill]] = true
		kinds[map[int]string{0: "first", 1: "second"}[p.victim]] = true
	}
	if len(kinds) != 6 {
		t.Errorf("200 seeds give only %v", kinds)
	}
}

func TestMixHasEverySortOfJob(t *testing.T) {
	t.Parallel()
	n := map[string]int{}
	seen := map[string]bool{}
	for j, e := range newPlan(1).orders(2000) {
		if j.ID != e.ID || seen[j.ID] || (j.Delivery == "at_most_once") != e.AtMostOnce || (j.To == refusedNumber) != e.Refused {
			t.Fatalf("job %+v is judged as %+v", j, e)
		}
		seen[j.ID] = true
		n[map[bool]string{true: "one part", false: "three parts"}[e.Parts == 1]]++
		n[map[bool]string{true: "at most once", false: "at least once"}[e.AtMostOnce]]++
		n[map[bool]string{true: "refused", false: "accepted"}[e.Refused]]++
	}
	for _, k := range []string{"one part", "three parts", "at most once", "at least once", "refused", "accepted"} {
		if n[k] == 0 {
			t.Errorf("no %s jobs among 2000: %v", k, n)
		}
	}
}
