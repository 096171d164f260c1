package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPercentilesAreOfTheNearestRank(t *testing.T) {
	t.Parallel()
	var hundred, thousand []int64
	for i := range 1000 {
		if i < 100 {
			hundred = append(hundred, int64(i+1)*1e6)
		}
		thousand = append(thousand, int64(i+1)*1e6)
	}
	for _, c := range []struct {
		all  []int64
		want latency
	}{
		{[]int64{7e6}, latency{1, 7, 7, 7, 7}},
		{[]int64{3e6, 1e6, 2e6}, latency{3, 2, 3, 3, 3}},
		{hundred, latency{100, 50, 99, 100, 100}},
		{thousand, latency{1000, 500, 990, 999, 1000}},
	} {
		if d := cmp.Diff(&c.want, latencyOf(c.all)); d != "" {
			t.Errorf("of %d (-want +got):\n%s", len(c.all), d)
		}
	}
	if latencyOf(nil) != nil {
		t.Error("nothing has percentiles")
	}
}

// ms is a moment so many milliseconds after the epoch.
func ms(n int64) time.Time { return time.UnixMilli(n) }

func TestTimesJoinPublisherSimulatorAndStream(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "times")
	lines := ""
	for i, at := range []int64{1002, 2004, 3008} { // submit_sm of each job
		lines += fmt.Sprintf("s %d b-%07d\n", at*1e6, i)
		lines += fmt.Sprintf("r %d %d\n", (at+1)*1e6, 5000+i)
	}
	lines += fmt.Sprintf("s %d b-0000002\nr %d 5002\n", int64(9999e6), int64(9999e6)) // again, later
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	x := newTimes(3)
	for _, at := range []int64{1000, 2000, 3000} {
		x.publish(ms(at-1), ms(at))
	}
	if err := x.read(path); err != nil {
		t.Fatal(err)
	}
	for i, at := range []int64{1002, 2004, 3008} {
		x.result(fmt.Appendf(nil, `{"kind":"submitted","parts":[{"message_id":"%d"}]}`, 5000+i), ms(7777))
		x.result(fmt.Appendf(nil, `{"kind":"receipt","message_id":"%d"}`, 5000+i), ms(at+1+10))
	}
	r := &round{Drift: []drift{{Seconds: 1.5}, {Seconds: 3}}}
	x.enter(r, 500*time.Millisecond)
	if d := cmp.Diff(&latency{2, 4, 8, 8, 8}, r.Submit); d != "" {
		t.Errorf("submit without the first, which is of the warm-up (-want +got):\n%s", d)
	}
	if d := cmp.Diff(&latency{2, 10, 10, 10, 10}, r.Receipt); d != "" {
		t.Errorf("receipt (-want +got):\n%s", d)
	}
	if r.PublisherLate != 1 {
		t.Errorf("publisher late by %v ms, want 1", r.PublisherLate)
	}
	if d := cmp.Diff(&latency{1, 4, 4, 4, 4}, r.Drift[0].Submit); d != "" {
		t.Errorf("first look (-want +got):\n%s", d)
	}
	if d := cmp.Diff(&latency{1, 8, 8, 8, 8}, r.Drift[1].Submit); d != "" {
		t.Errorf("second look (-want +got):\n%s", d)
	}
	if s, _ := x.between(0, math.MaxInt64); s.Count != 3 {
		t.Errorf("%d in all, want 3", s.Count)
	}
}

func TestTimesOfWhatNobodyPublishedAreAnError(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"s 1 b-0000003", "s x b-0000001", "s 1", "r 1 abc", "s 1 nothing"} {
		if err := newTimes(3).line([]byte(line)); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}
