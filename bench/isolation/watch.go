package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shortwire-sms/shortwire/bench/internal/rig"
	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

// inTrouble waits until the good route is bound, and each of the others limited
// by what is wrong with it.
func inTrouble(ctx context.Context, w *rig.Proc, admin string, routes int) error {
	want := map[string][]dispatcher.Limit{
		dead:      {dispatcher.LimitNoBind},
		slow:      {dispatcher.LimitWindow},
		throttled: {dispatcher.LimitThrottled, dispatcher.LimitRate},
	}
	return w.Ready(ctx, func(ctx context.Context) error {
		s, err := app.FetchStatus(ctx, app.AdminAt{URL: "http://" + admin})
		if err != nil {
			return err
		}
		if len(s.Routes) != routes {
			return fmt.Errorf("%d routes, not %d", len(s.Routes), routes)
		}
		for _, r := range s.Routes {
			troubled := len(want[r.Name]) == 0
			for _, l := range want[r.Name] {
				troubled = troubled || r.Limit == l
			}
			if !troubled {
				return fmt.Errorf("route %s is limited by %s", r.Name, r.Limit)
			}
			if r.Name != good {
				continue
			}
			for _, b := range r.Binds {
				if b.State != "bound" {
					return errors.New("the good route is not bound")
				}
			}
		}
		return nil
	})
}

// watch measures from the first to the last submit_sm.
func watch(ctx context.Context, smsc *rig.SMSC, jobs int) (perSecond float64, err error) {
	const stall = 30 * time.Second
	var began, last time.Time
	var first, seen int64
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for last = time.Now(); ; {
		stats, err := smsc.Stats(ctx)
		if err != nil {
			return 0, err
		}
		now := time.Now()
		switch {
		case stats.Unique > seen:
			seen, last = stats.Unique, now
		case now.Sub(last) > stall:
			return 0, fmt.Errorf("nothing arrived for %v, %d of %d did", stall, seen, jobs)
		}
		if began.IsZero() && seen > 0 {
			began, first = now, seen
		}
		if seen >= int64(jobs) {
			return float64(seen-first) / now.Sub(began).Seconds(), nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}
