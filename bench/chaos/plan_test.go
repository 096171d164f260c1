package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSeedRepeatsTheScenario(t *testing.T) {
	t.Parallel()
	if d := cmp.Diff(newPlan(7).String(), newPlan(7).String()); d != "" {
		t.Errorf("plans of one seed differ:\n%s", d)
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
