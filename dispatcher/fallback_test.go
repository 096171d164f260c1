package dispatcher

import (
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// line is slots that may be without a bind.
type line struct {
	*slots
	cut   atomic.Bool
	aside atomic.Bool // other workers have the binds
}

func (l *line) Standby() bool { return l.aside.Load() }

func (l *line) Bound() int {
	if l.cut.Load() {
		return 0
	}
	return 1
}

func (l *line) Reserve(n int) (Reservation, Shortage) {
	if l.cut.Load() {
		return nil, Shortage{Reason: LimitNoBind}
	}
	return l.slots.Reserve(n)
}

// chain runs the watch of dispatchers a, b and c, each the fallback of the one
// before, and returns them with their binds, which have room for free jobs.
func chain(t *testing.T, free int) (ds []*Dispatcher, lines []*line) {
	t.Helper()
	routes := new(Routes)
	for i, name := range []string{"a", "b", "c"} {
		l := &line{slots: &slots{free: free}}
		cfg := Config{Route: name, Message: MessageRules{ServiceType: name}}
		if i < 2 {
			cfg.Fallback.Route = string("bc"[i])
		}
		d, err := New(cfg, Deps{Binds: l, Limiter: tokens{}, Routes: routes, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		l.Notify(d.turnstile.turn)
		t.Cleanup(d.turnstile.stop)
		routes.add(d)
		go d.watch(t.Context())
		ds, lines = append(ds, d), append(lines, l)
	}
	return ds, lines
}

// job is a job of a's at its decision.
func (d *Dispatcher) attemptOf(t *testing.T, doubt bool) *attempt {
	t.Helper()
	text := "x"
	a := &attempt{del: delivery{}, out: d, job: &sms.Job{ID: "j", To: "447700900123", Text: &text}, ref: sms.JobRef{Producer: "shop", Route: d.route, Doubt: doubt, Attempt: 1}}
	var err error
	if a.todo, err = d.config().Message.Encode("shop", a.job); err != nil {
		t.Fatal(err)
	}
	return a
}

// way is the route by which a job of d's goes now; "none" when it is put off.
func (d *Dispatcher) way(t *testing.T, doubt bool) string {
	t.Helper()
	a := d.attemptOf(t, doubt)
	if err := d.choose(a); err != nil {
		return "none"
	}
	if got := a.todo[0].ServiceType; got != a.out.route { // as the rules of the route make it
		t.Errorf("by %s with the messages of %s", a.out.route, got)
	}
	if a.ref.Carrier() != a.out.route {
		t.Errorf("by %s, and the ledger is told %s", a.out.route, a.ref.Carrier())
	}
	return a.out.route
}

func TestAJobGoesByTheFirstRouteOfTheChainThatCanSend(t *testing.T) {
	t.Parallel()
	refused := map[rune]bool{'A': true, 'B': true} // upper case: the account is refused
	for cut, want := range map[string]struct{ fresh, doubtful string }{
		"":    {"a", "a"},
		"b":   {"a", "a"},
		"a":   {"b", "none"},
		"ab":  {"c", "none"},
		"ac":  {"b", "none"},
		"abc": {"a", "a"}, // waits for its own
		"A":   {"b", "none"},
		"AB":  {"c", "none"},
		"aB":  {"c", "none"},
	} {
		synctest.Test(t, func(t *testing.T) {
			ds, lines := chain(t, 9)
			time.Sleep(time.Second)
			for _, r := range cut {
				if refused[r] {
					ds[r-'A'].turnstile.barred(refusal, time.Now())
				} else {
					lines[r-'a'].cut.Store(true)
				}
			}
			time.Sleep(5 * time.Second) // an account is given up at once, and not tried yet
			synctest.Wait()
			if w := ds[0].way(t, false); cut == "a" && w != "a" {
				t.Errorf("%q: by %s before fallback_after", cut, w)
			}
			if cut != "A" && cut != "AB" {
				time.Sleep(26 * time.Second)
				synctest.Wait()
				for range 3 { // those that find out whether an account is still refused
					ds[0].way(t, false)
				}
			}
			if got := ds[0].way(t, false); got != want.fresh {
				t.Errorf("without %q: a job goes by %s, want %s", cut, got, want.fresh)
			}
			if got := ds[0].way(t, true); got != want.doubtful {
				t.Errorf("without %q: a job in doubt goes by %s, want %s", cut, got, want.doubtful)
			}
			for _, l := range lines {
				l.cut.Store(false)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if got := ds[0].way(t, false); got != "a" && !refused[rune((cut + " ")[0])] {
				t.Errorf("by %s when all are back", got)
			}
		})
	}
}

func TestOneJobAtATimeTriesARefusedAccountWhileTheOthersGoByTheFallback(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ds, _ := chain(t, 9)
		ds[0].turnstile.barred(refusal, time.Now()) // again in 10 s
		time.Sleep(12 * time.Second)
		synctest.Wait()
		var ways []string
		for range 3 {
			ways = append(ways, ds[0].way(t, false))
		}
		if diff := cmp.Diff([]string{"a", "b", "b"}, ways); diff != "" {
			t.Errorf("ways (-want +got):\n%s", diff)
		}
	})
}

func TestAPausedLaneGoesNoOtherWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ds, lines := chain(t, 9)
		lines[0].cut.Store(true)
		time.Sleep(32 * time.Second)
		synctest.Wait()
		paused := func(sms.Lane) bool { return true }
		ds[1].Pause(paused)
		if got := ds[0].way(t, false); got != "c" {
			t.Errorf("by %s while the fallback is paused", got)
		}
		ds[0].Pause(paused)
		if got := ds[0].way(t, false); got != "a" {
			t.Errorf("by %s while its own route is paused", got)
		}
	})
}

// waiting starts n jobs of d's and tells in which order and by which route they got
// their turn.
func waiting(t *testing.T, d *Dispatcher, n int) <-chan string {
	t.Helper()
	went := make(chan string, n)
	for i := range n {
		a := d.attemptOf(t, false)
		a.place = uint64(i)
		go func() {
			if _, err := d.admit(t.Context(), a); err == nil {
				went <- string(rune('0'+i)) + a.out.route
			}
		}()
		synctest.Wait()
	}
	return went
}

func received(went <-chan string) (all []string) {
	synctest.Wait()
	for len(went) > 0 {
		all = append(all, <-went)
	}
	slices.Sort(all) // goroutines tell in any order
	return all
}

func TestJobsThatWaitMoveInTheirOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ds, lines := chain(t, 0)
		lines[0].cut.Store(true)
		went := waiting(t, ds[0], 5)
		time.Sleep(32 * time.Second) // they wait for a slot of b's now
		let := func(i, n int) {
			lines[i].slots.mu.Lock()
			lines[i].slots.free += n
			lines[i].slots.mu.Unlock()
			ds[i].turnstile.turn()
		}
		let(1, 2)
		if diff := cmp.Diff([]string{"0b", "1b"}, received(went)); diff != "" {
			t.Errorf("by the fallback (-want +got):\n%s", diff)
		}
		lines[0].cut.Store(false)
		time.Sleep(2 * time.Second)
		let(1, 9)
		if got := received(went); len(got) > 0 {
			t.Errorf("%v still waited for the fallback", got)
		}
		for _, want := range []string{"2a", "3a", "4a"} {
			let(0, 1)
			if diff := cmp.Diff([]string{want}, received(went)); diff != "" {
				t.Errorf("back at their own route (-want +got):\n%s", diff)
			}
		}
	})
}

func TestJobsThatWaitForAFallbackThatIsTakenAwayComeBack(t *testing.T) {
	t.Parallel()
	for name, takeAway := range map[string]func(ds []*Dispatcher){
		"from the configuration": func(ds []*Dispatcher) { ds[0].Change(Config{}, 0, func() {}) },
		"from the process": func(ds []*Dispatcher) {
			ds[0].deps.Routes.remove(ds[1])
			ds[1].turnstile.close()
			synctest.Wait()
			if n := ds[1].turnstile.waiting()[sms.LaneNormal]; n != 0 {
				t.Errorf("%d jobs wait for a route that has ended", n)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ds, lines := chain(t, 0)
				lines[0].cut.Store(true)
				went := waiting(t, ds[0], 3)
				time.Sleep(32 * time.Second)
				synctest.Wait()
				if n := ds[1].turnstile.waiting()[sms.LaneNormal]; n != 3 {
					t.Fatalf("%d jobs wait for the fallback, want 3", n)
				}
				takeAway(ds)
				time.Sleep(2 * time.Second)
				lines[0].slots.free = 9
				lines[0].cut.Store(false)
				ds[0].turnstile.turn()
				if got := received(went); len(got) != 3 || got[0] != "0a" {
					t.Errorf("went %v, want all three by their own route", got)
				}
			})
		})
	}
}

func TestTheTimeWithoutABindGoesOnAfterABriefStandby(t *testing.T) {
	t.Parallel()
	for standby, want := range map[time.Duration]string{5 * time.Second: "b", time.Minute: "a"} {
		synctest.Test(t, func(t *testing.T) {
			ds, lines := chain(t, 9)
			lines[0].cut.Store(true)
			time.Sleep(20 * time.Second)
			lines[0].aside.Store(true)
			time.Sleep(standby)
			lines[0].aside.Store(false)
			time.Sleep(12 * time.Second)
			synctest.Wait()
			if got := ds[0].way(t, false); got != want {
				t.Errorf("without a bind, but for %v off duty, for 32 s: by %s, want %s", standby, got, want)
			}
		})
	}
}
