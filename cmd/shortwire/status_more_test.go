package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestStatusSaysWhyARouteIsLimitedAndWhatFailed(t *testing.T) {
	t.Parallel()
	now, many, few := time.Now(), 7000, 3
	s := &app.Status{Worker: "w1", Routes: []app.RouteStatus{{
		Name: "acme", Limit: dispatcher.LimitWindow, LimitWhy: "10 of 10 slots", LimitAdvice: "raise window",
		Lanes: map[sms.Lane]app.LaneStatus{
			sms.LaneHigh: {Backlog: &few, Held: &few}, sms.LaneNormal: {Backlog: &few, Held: &few}, sms.LaneBulk: {Backlog: &many, Held: &few},
		},
		SubmitLatency: app.SpreadStatus{Count: 5, P50MS: 12.25, P99MS: 1512.5},
	}}, Errors: []app.RecentError{
		{Time: now, Route: "acme", Producer: "shop", JobID: "j1", Attempt: 1, Code: sms.CodeTemporary, StatusName: "ESME_RSYSERR", Meaning: "system error", Next: &now},
		{Time: now, Route: "acme", Producer: "shop", Attempt: 1, Code: sms.CodeInvalid, Meaning: "wrong", End: sms.KindFailed},
	}}
	at := now.Local().Format(time.TimeOnly)
	prints(t, func(w io.Writer) error { return printStatus(w, s, now) },
		"\nroute acme: window: 10 of 10 slots -> raise window\n",
		"\nacme     3     3       7000  9\n",
		"\nacme    12.3ms      1.5s  -            -\n",
		"\n"+at+"  acme   shop      j1   temporary  attempt 2 at "+at+"  ESME_RSYSERR: system error\n",
		"\n"+at+"  acme   shop      -    invalid    ended as failed        wrong\n",
	)
}

func TestTheFleetIsPrintedWithWhoIsMissing(t *testing.T) {
	t.Parallel()
	now := time.Now()
	route := func(l dispatcher.Limit) []app.RouteStatus {
		return []app.RouteStatus{{Name: "acme", Limit: l, LimitWhy: "why", RateUsed: 50, RateAllowed: 100, Binds: []app.BindStatus{{State: "bound", Window: 10, InFlight: 3}, {State: "backoff"}}}}
	}
	f := &app.FleetStatus{
		Asked: "w2", Error: "no answer from NATS",
		Workers: []app.Status{
			{Worker: "w1", Version: "v1", UptimeS: 60, NATS: app.Health{OK: true}, Redis: app.Health{Error: "does not answer"}, CPU: &app.CPUStatus{Used: 1.25, Of: 2}, MemoryMB: 50, Routes: route(dispatcher.LimitRedis)},
			{Worker: "w2", Draining: true, Routes: route(dispatcher.LimitRate)},
		},
		Missing: []app.MissingWorker{{Worker: "w3", Last: now.Add(-90 * time.Second)}},
	}
	prints(t, func(w io.Writer) error { return printFleet(w, f, now) },
		"2 workers, asked by w2\nthe others cannot be asked: no answer from NATS\n",
		"\nw1      running    1m0s",
		"AWAY (does not answer)  1.2 of 2  50 MiB  -              v1\n",
		"\nw2      draining",
		"\nw3      NO ANSWER  answered 1m30s ago\n",
		"\nacme   w1      redis  50 of 100/s  1 of 2  3/10 ",
		"\nw1  route acme: redis: why\nw2  route acme: rate: why\n",
	)
}

func TestAStatusIsWatchedUntilAnInterrupt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := &program{stdout: &out}
		ctx, cancel := context.WithTimeout(t.Context(), 5*watchEvery/2)
		defer cancel()
		n := 0
		err := p.watch(ctx, func(_ context.Context, w io.Writer) error {
			if n++; n == 2 {
				return errors.New("away")
			}
			fmt.Fprintf(w, "page %d\n", n)
			return nil
		})
		if got := out.String(); err != nil || !strings.HasPrefix(got, "page 1\n") || !strings.Contains(got, "  away\npage 3\n") {
			t.Errorf("%q, %v", got, err)
		}
		if err := p.watch(t.Context(), func(context.Context, io.Writer) error { return errors.New("away") }); err == nil {
			t.Error("a worker that is not there is watched")
		}
	})
}

func TestAPageIsCutAtTheEdgesOfATerminal(t *testing.T) {
	t.Parallel()
	page := screen("one\ntwo\nlast")
	// Without a line feed nothing scrolls; lines do not wrap, but what follows the page does.
	if strings.Contains(page, "\n") || !strings.HasPrefix(page, "\x1b[?7l") || !strings.HasSuffix(page, "last\x1b[K\x1b[?7h") {
		t.Errorf("%q", page)
	}
}
