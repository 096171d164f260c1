package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

// prints fails the test where something wanted is not in what is printed.
func prints(t *testing.T, print func(io.Writer) error, wanted ...string) {
	t.Helper()
	var b strings.Builder
	if err := print(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range wanted {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}

func TestStatusSaysWhichReceiptsMatchAndWhichJobsGoByAnotherRoute(t *testing.T) {
	t.Parallel()
	rate, now := 0.9996, time.Now()
	s := &app.Status{Worker: "w1", Routes: []app.RouteStatus{
		{Name: "acme", Receipts: app.ReceiptStatus{Matched: 2499, Unmatched: 1, MatchRate: &rate}, Inbound: app.InboundStatus{Published: 30, Incomplete: 2, Repeats: 1}},
		{Name: "spare", Slots: &app.SlotStatus{Wanted: 2, Granted: 4, Limit: 4, Workers: 5, Frozen: 3}},
		{Name: "cut", Slots: &app.SlotStatus{Held: 1, Wanted: 2, Granted: 4, Limit: 4, Workers: 3, Error: "no answer"}},
		{Name: "other", Receipts: app.ReceiptStatus{Unmatched: 7, Hint: "set something"},
			Diversion: &app.DiversionStatus{Via: "acme", Reason: dispatcher.LimitNoBind, Since: now.Add(-90 * time.Second)}},
	}}
	prints(t, func(w io.Writer) error { return printStatus(w, s, now) },
		"\nroute other: receipts do not find their jobs: set something\n",
		"\nroute spare: has 0 of the 2 binds it wants; the fleet has 4 of 4, in 5 workers\nroute spare: redis may have lost who has binds, no more are given out for 3s at most\n",
		"\nroute cut: has 1 of the 2 binds it wants; the fleet has 4 of 4, in 3 workers\nroute cut: binds under max_binds are not renewed: no answer\n",
		"\nroute other: cannot send (no_bind for 1m30s), its jobs go by acme\n",
		"\nacme      2499     0       1          99.9%       -\n",
		"\nacme     30         2           1\nspare    0          0           0\n",
		"\nother     0        0       7          -           -\n",
	)
}

func TestStatusShowsWhichConfigurationHoldsAndWhatIsPaused(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	s := &app.Status{
		Worker: "w1",
		Config: app.ConfigStatus{Generation: 4, Loaded: at, Digest: "0123456789ab", TakesRestart: []string{"nats.url", "worker.id"}, Refused: &at, Errors: []string{"f.yaml:3: one", "f.yaml:9: two"}},
		Routes: []app.RouteStatus{
			{Name: "acme", Pauses: []app.OperatorPause{{Lane: "bulk", By: "ada@desk", Reason: "stopped", Since: at, Until: &at}}},
			{Name: "gone", Draining: true},
		},
	}
	prints(t, func(w io.Writer) error { return printStatus(w, s, at) },
		"\nconfiguration 4  0123456789ab  since 2026-03-01 12:00:00\nchanged in the file, takes a restart: nats.url, worker.id\n",
		"\nthe file was REFUSED at 2026-03-01 12:00:00, what was in force stays:\n  f.yaml:3: one\n  f.yaml:9: two\n",
		"\npaused: lane bulk of route acme until 2026-03-01 12:00:00, by ada@desk since 2026-03-01 12:00:00: stopped\n",
		"\nroute gone: removed from the configuration, it drains\n",
	)
}
