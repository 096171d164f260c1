package trial

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/load"
)

func TestSeedRepeatsTheJobs(t *testing.T) {
	t.Parallel()
	type order struct {
		Job    load.Job
		Expect judge.Job
	}
	collect := func(seed uint64) (all []order) {
		for j, e := range Orders(seed, "c", 500) {
			all = append(all, order{j, e})
		}
		return all
	}
	if d := cmp.Diff(collect(7), collect(7)); d != "" {
		t.Errorf("jobs of one seed differ:\n%s", d)
	}
	if cmp.Equal(collect(7), collect(8)) {
		t.Error("two seeds give the same jobs")
	}
}

func TestMeanPartsIsThatOfTheMix(t *testing.T) {
	t.Parallel()
	parts, n := 0, 20_000
	for _, e := range Orders(3, "c", n) {
		parts += e.Parts
	}
	if mean := float64(parts) / float64(n); mean < MeanParts-0.02 || mean > MeanParts+0.02 {
		t.Errorf("%f parts on average, want %f", mean, MeanParts)
	}
}

func TestMixHasEverySortOfJob(t *testing.T) {
	t.Parallel()
	n := map[string]int{}
	seen := map[string]bool{}
	for j, e := range Orders(1, "c", 2000) {
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
