package main

import (
	"bytes"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/load"
)

func arrivals(t *testing.T, record string) *judge.Arrivals {
	t.Helper()
	a, err := judge.ReadArrivals(strings.NewReader(record))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestReportNamesWhatDidNotHold(t *testing.T) {
	t.Parallel()
	const bind = `{"ev":"bind","time":"2026-03-01T12:00:00Z","system_id":"alpha"}` + "\n"
	const submit = `{"ev":"submit","time":"2026-03-01T12:00:01Z","system_id":"alpha"}` + "\n"
	for name, c := range map[string]struct {
		record string
		broken int
	}{
		"within rate and binds": {bind + strings.Repeat(submit, 3), 0},
		"too many at once":      {bind + strings.Repeat(submit, 4), 1},
		"too many binds":        {bind + bind + submit, 1},
		"nothing at all":        {"", 1},
	} {
		var v verdicts
		var b bytes.Buffer
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		v.limits(w, []load.Account{{Name: "alpha", Rate: 1, Burst: 2, MaxBinds: 1}}, arrivals(t, c.record))
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if len(v.broken) != c.broken || strings.Count(b.String(), "!") != c.broken {
			t.Errorf("%s: broken %q, want %d of them:\n%s", name, v.broken, c.broken, &b)
		}
	}
}

func TestReportTellsARouteThatDidNotComeBack(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		silent time.Duration
		broken int
	}{"back in time": {5 * time.Second, 0}, "too late": {15 * time.Second, 1}} {
		var record strings.Builder
		for at := time.Duration(0); at < time.Minute; at += 100 * time.Millisecond {
			if at < 20*time.Second || at >= 20*time.Second+c.silent {
				record.WriteString(`{"ev":"submit","time":"` + begun.Add(at).Format(time.RFC3339Nano) + `","system_id":"alpha"}` + "\n")
			}
		}
		var v verdicts
		var b bytes.Buffer
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		v.resumed(w, []load.Account{{Name: "alpha", Rate: 10}}, arrivals(t, record.String()), []happened{{"a fault", begun.Add(20 * time.Second)}})
		if len(v.broken) != c.broken {
			t.Errorf("%s: broken %q", name, v.broken)
		}
	}
}

func TestModesAreOneAtATime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string
		ok   bool
	}{
		{"", true}, {"--variant cluster --seed 7", true}, {"--rate", true}, {"--partition --seed 1", true},
		{"--variant ring", false}, {"--rate --lanes", false}, {"--duration 10s", false}, {"--jobs 1 --lanes", false}, {"more", false},
	} {
		o, err := parse(strings.Fields(c.args))
		if (err == nil) != c.ok || c.ok && o.seed == 0 {
			t.Errorf("%q: %+v, %v", c.args, o, err)
		}
	}
}
