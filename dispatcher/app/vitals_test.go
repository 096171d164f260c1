package app

import (
	"strings"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher"
)

func TestOnlyAPipelineThatDoesNothingForItsJobsIsWedged(t *testing.T) {
	t.Parallel()
	const timeout = time.Minute
	busy := pulse{route: "acme", hand: 3, timeout: timeout}
	for name, c := range map[string]struct {
		each   func(look int) pulse
		wedged bool
	}{
		"idle":                        {func(int) pulse { return pulse{route: "acme", timeout: timeout} }, false},
		"busy":                        {func(i int) pulse { p := busy; p.done = uint64(i); return p }, false},
		"slow":                        {func(i int) pulse { p := busy; p.done = uint64(i / 100); return p }, false},
		"jobs come, nothing is done":  {func(i int) pulse { p := busy; p.hand = 3 + i/1000; return p }, true},
		"waits outside":               {func(int) pulse { p := busy; p.waits = true; return p }, false},
		"nothing is done":             {func(int) pulse { return busy }, true},
		"nothing is done after a lot": {func(i int) pulse { p := busy; p.done = uint64(min(i, 50)); return p }, true},
	} {
		v := newVitals()
		now := time.Unix(1700000000, 0)
		for i := range 200 {
			v.look(now, []pulse{c.each(i)})
			now = now.Add(time.Second)
		}
		err := v.fault(now)
		if (err != nil) != c.wedged {
			t.Errorf("%s: %v", name, err)
		}
		if c.wedged && !strings.Contains(err.Error(), "route acme has had 3 jobs in hand for ") {
			t.Errorf("%s: %v", name, err)
		}
		v.look(now, []pulse{{route: "acme"}})
		if err := v.fault(now); err != nil {
			t.Errorf("%s: after the jobs are gone: %v", name, err)
		}
	}
}

func TestALookoutThatStandsStillIsAWedge(t *testing.T) {
	t.Parallel()
	v := newVitals()
	now := time.Unix(1700000000, 0)
	if err := v.fault(now); err != nil {
		t.Errorf("before the first look: %v", err)
	}
	v.look(now, nil)
	if err := v.fault(now.Add(29 * time.Second)); err != nil {
		t.Error(err)
	}
	if err := v.fault(now.Add(31 * time.Second)); err == nil || !strings.Contains(err.Error(), "has not looked at its routes for 31s") {
		t.Errorf("after 31 s: %v", err)
	}
}

func TestEveryLimitIsToldApartIntoOutsideAndInside(t *testing.T) {
	t.Parallel()
	inside := []dispatcher.Limit{dispatcher.LimitNone, dispatcher.LimitWindow, dispatcher.LimitCPU}
	if n := len(dispatcher.Limits()); n != len(waitsOutside)+len(inside) {
		t.Errorf("there are %d limits, %d wait for something outside and %d do not", n, len(waitsOutside), len(inside))
	}
}
