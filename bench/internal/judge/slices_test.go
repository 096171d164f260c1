package judge

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// settled are the results of a job of one part.
func settled(i int) []string {
	return []string{
		fmt.Sprintf(`{"id":"o%[1]d","kind":"submitted","job_id":"b-%07[1]d","producer":"bench","parts":[{"number":1,"message_id":"m%[1]d"}]}`, i),
		fmt.Sprintf(`{"id":"r%[1]d","kind":"receipt","job_id":"b-%07[1]d","producer":"bench","message_id":"m%[1]d","part":1,"state":"DELIVERED","final":true,"job_state":"DELIVERED"}`, i),
	}
}

func TestSlicesFindWhatIsLostAndWhatCameTwiceAndForgetTheRest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func([]string) []string
		want  Verdict
	}{
		"all there":              {func(r []string) []string { return r }, Verdict{}},
		"outcome missing":        {func(r []string) []string { return r[1:] }, Verdict{Lost: 1}},
		"receipt missing":        {func(r []string) []string { return r[:len(r)-1] }, Verdict{LostReceipts: 1}},
		"repeat in its slice":    {func(r []string) []string { return append([]string{r[0]}, r...) }, Verdict{Repeats: 1}},
		"repeat when it is over": {func(r []string) []string { return append(r, r[0]) }, Verdict{Stray: 1}},
		"receipt of no job":      {func(r []string) []string { return append(r, `{"id":"x","kind":"receipt","message_id":"m99"}`) }, Verdict{Stray: 1}},
		"job of nobody":          {func(r []string) []string { return append(r, settled(10)...) }, Verdict{Stray: 2}},
		"second outcome": {func(r []string) []string {
			return append([]string{`{"id":"z","kind":"failed","job_id":"b-0000000"}`}, r...)
		}, Verdict{TwoOutcomes: 1}},
	} {
		s := NewSlices(10, 4, func(i int) Job { return Job{ID: fmt.Sprintf("b-%07d", i), Parts: 1} })
		var all []string
		for i := range 10 {
			all = append(all, settled(i)...)
		}
		for _, r := range c.spoil(all) {
			if err := s.Result([]byte(r)); err != nil {
				t.Fatal(err)
			}
		}
		if name == "all there" && len(s.open) > 0 {
			t.Errorf("%d slices are still open though everything has come", len(s.open))
		}
		v := s.Verdict()
		got := Verdict{Lost: v.Lost, LostReceipts: v.LostReceipts, TwoOutcomes: v.TwoOutcomes, Stray: v.Stray, Repeats: v.Repeats}
		if d := cmp.Diff(c.want, got); d != "" || v.Jobs != 10 {
			t.Errorf("%s: %d jobs, (-want +got):\n%s", name, v.Jobs, d)
		}
	}
}

func TestSlicesOfWhichNothingCameAreLost(t *testing.T) {
	t.Parallel()
	s := NewSlices(10, 4, func(i int) Job { return Job{ID: fmt.Sprintf("b-%07d", i), Parts: 1} })
	if v := s.Verdict(); v.Lost != 10 || v.Jobs != 10 {
		t.Errorf("%d of %d lost, want all 10", v.Lost, v.Jobs)
	}
}
