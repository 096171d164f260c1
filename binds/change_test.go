package binds

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// change puts a configuration in force and waits until nothing moves.
func (r *rig) change(t *testing.T, with func(*Config)) {
	t.Helper()
	cfg := *r.config()
	with(&cfg)
	if err := r.Change(cfg); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// boundThere is what the simulator has bound.
func (r *rig) boundThere() []smsctest.Bind {
	return slices.DeleteFunc(r.smsc.Binds(), func(b smsctest.Bind) bool { return !b.Until.IsZero() })
}

// bindIDs are the simulator's names of what is bound.
func (r *rig) bindIDs() (ids []uint64) {
	for _, b := range r.boundThere() {
		ids = append(ids, b.ID)
	}
	slices.Sort(ids)
	return ids
}

// least watches how few binds there are while do runs, every 20 ms of fake time.
func (r *rig) least(t *testing.T, do func()) (fewest int) {
	t.Helper()
	fewest = len(r.boundThere())
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			fewest = min(fewest, len(r.boundThere()))
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	do()
	close(done)
	<-stopped
	return fewest
}

func TestAWindowChangesUnderOpenMessages(t *testing.T) {
	bubble(t, smsctest.Config{Latency: time.Second}, Config{Window: 3}, Deps{}, func(t *testing.T, r *rig) {
		ids := r.bindIDs()
		var open []*Reservation
		send := func(n int) {
			for range n {
				res := r.reserve(t, 1)
				res.Send(t.Context(), sms.JobRef{JobID: "job"}, parts(1, "447700900123"))
				open = append(open, res)
			}
		}
		send(3)
		if res, _ := r.TryReserve(1); res != nil {
			t.Fatal("a fourth slot of three")
		}
		told := 0
		r.Notify(func() { told++ })
		r.change(t, func(c *Config) { c.Window = 200 }) // more than the table of calls was made for
		if told == 0 {
			t.Error("nobody was told of the free slots")
		}
		send(197)
		if res, _ := r.TryReserve(1); res != nil {
			t.Error("a slot too many of 200")
		}
		r.change(t, func(c *Config) { c.Window = 2 })
		answered := 0
		for _, res := range open {
			for reply, ok := res.Next(t.Context()); ok; reply, ok = res.Next(t.Context()) {
				if reply.Err != nil {
					t.Fatal(reply.Err)
				}
				answered++
			}
		}
		if answered != 200 || r.free() != 2 {
			t.Errorf("%d answered, want 200; %d slots free, want 2", answered, r.free())
		}
		if diff := cmp.Diff(ids, r.bindIDs()); diff != "" {
			t.Errorf("the bind was dropped (-want +got):\n%s", diff)
		}
	})
}

func TestBindsComeAndGoAndTheOthersStay(t *testing.T) {
	bubble(t, smsctest.Config{Latency: 2 * time.Second}, Config{Window: 1}, Deps{}, func(t *testing.T, r *rig) {
		first := r.bindIDs()
		r.change(t, func(c *Config) { c.Binds = 3 })
		if ids := r.bindIDs(); len(ids) != 3 || !slices.Contains(ids, first[0]) {
			t.Fatalf("bound %v after %v", ids, first)
		}
		if got := r.Wanted(); got != 3 {
			t.Errorf("%d binds wanted", got)
		}
		replies := make(chan sms.Reply, 3)
		for range 3 {
			go func() {
				for _, reply := range r.send(t, 1) {
					replies <- reply
				}
			}()
		}
		synctest.Wait()
		r.change(t, func(c *Config) { c.Binds = 1 })
		if got := r.Wanted(); got != 1 {
			t.Errorf("%d binds wanted", got)
		}
		for range 3 {
			if reply := <-replies; reply.Err != nil {
				t.Errorf("a message in flight on a bind that goes: %v", reply.Err)
			}
		}
		synctest.Wait()
		if diff := cmp.Diff(first, r.bindIDs()); diff != "" {
			t.Errorf("the bind that stays (-want +got):\n%s", diff)
		}
		if n := len(r.Snapshot()); n != 1 {
			t.Errorf("%d binds in the status", n)
		}
		r.change(t, func(c *Config) { c.Binds = 2 })
		if ids := r.bindIDs(); len(ids) != 2 {
			t.Errorf("bound %v, want two again", ids)
		}
	})
}

func TestABindThatComesBackWaitsForTheOneThatGoes(t *testing.T) {
	bubble(t, smsctest.Config{Latency: 10 * time.Second}, Config{Binds: 2, Window: 1}, Deps{}, func(t *testing.T, r *rig) {
		before := r.bindIDs()
		replies := make(chan sms.Reply, 2)
		for range 2 {
			go func() {
				for _, reply := range r.send(t, 1) {
					replies <- reply
				}
			}()
			synctest.Wait()
		}
		for _, binds := range []int{1, 2, 1, 2} {
			r.change(t, func(c *Config) { c.Binds = binds })
		}
		time.Sleep(time.Second)
		if diff := cmp.Diff(before, r.bindIDs()); diff != "" {
			t.Errorf("with a message open on each of two binds (-want +got):\n%s", diff)
		}
		for range 2 {
			if reply := <-replies; reply.Err != nil {
				t.Error(reply.Err)
			}
		}
		time.Sleep(time.Second)
		if n := len(r.boundThere()); n != 2 || r.Bound() != 2 {
			t.Errorf("%d sessions, %d binds take messages, want 2", n, r.Bound())
		}
	})
}

func TestNewCredentialsAreTakenByOneBindAfterAnother(t *testing.T) {
	sim := smsctest.Config{Credentials: map[string]string{"acme": "old", "acme2": "new"}, Latency: 100 * time.Millisecond}
	bubble(t, sim, Config{Binds: 3, Password: "old"}, Deps{}, func(t *testing.T, r *rig) {
		before := r.bindIDs()
		fewest := r.least(t, func() {
			r.change(t, func(c *Config) { c.SystemID, c.Password = "acme2", "new" })
			time.Sleep(time.Second)
		})
		if fewest < 2 {
			t.Errorf("only %d of 3 binds at a time", fewest)
		}
		for _, b := range r.boundThere() {
			if b.SystemID != "acme2" || slices.Contains(before, b.ID) {
				t.Errorf("still bound as %s", b.SystemID)
			}
		}
		if n := len(r.boundThere()); n != 3 {
			t.Errorf("%d binds", n)
		}
	})
}

func TestCredentialsThatAreRefusedCostOneBind(t *testing.T) {
	sim := smsctest.Config{SystemID: "acme", Password: "right"}
	bubble(t, sim, Config{Binds: 3, Password: "right"}, Deps{}, func(t *testing.T, r *rig) {
		fewest := r.least(t, func() {
			r.change(t, func(c *Config) { c.Password = "wrong" })
			time.Sleep(10 * time.Minute)
		})
		if fewest != 2 {
			t.Errorf("%d of 3 binds are left, want 2", fewest)
		}
		start := time.Now()
		r.change(t, func(c *Config) { c.Password = "right" })
		time.Sleep(time.Second)
		if n := len(r.boundThere()); n != 3 {
			t.Errorf("%d binds %v after the password was set right", n, time.Since(start))
		}
	})
}

func TestCredentialsThatAreRefusedCostOneBindAlsoWhenAnotherWorkerGetsItsSlot(t *testing.T) {
	sim := smsctest.Config{SystemID: "acme", Password: "right"}
	o := &office{slots: 3}
	bubble(t, sim, Config{Binds: 3, Password: "right"}, Deps{Slots: o}, func(t *testing.T, r *rig) {
		time.Sleep(5 * time.Second)
		r.change(t, func(c *Config) { c.Password = "wrong" })
		time.Sleep(time.Second)
		o.set(2)
		time.Sleep(10 * time.Minute)
		if n := len(r.boundThere()); n != 2 {
			t.Errorf("%d of 3 binds are left, want 2", n)
		}
		o.set(3)
		r.change(t, func(c *Config) { c.Password = "right" })
		time.Sleep(5 * time.Second)
		if n := len(r.boundThere()); n != 3 {
			t.Errorf("%d binds after the password was set right", n)
		}
	})
}

func TestTheOnlyBindTriesNewCredentialsAtOnce(t *testing.T) {
	bubble(t, smsctest.Config{SystemID: "acme", Password: "right"}, Config{Password: "wrong"}, Deps{}, func(t *testing.T, r *rig) {
		r.change(t, func(c *Config) { c.Password = "right" }) // it is refused, and would pause for minutes
		if n := r.Bound(); n != 1 {
			t.Errorf("%d bound", n)
		}
	})
}

func TestWhatNeedsNoNewSessionDropsNone(t *testing.T) {
	bubble(t, smsctest.Config{}, Config{Binds: 2}, Deps{}, func(t *testing.T, r *rig) {
		before := r.bindIDs()
		r.change(t, func(c *Config) {
			c.Status, _ = ParseOverrides(map[string]string{"0x400": "permanent"})
			c.ReturnAfter, c.DrainTimeout, c.Backoff.Base, c.Window = time.Hour, time.Second, time.Minute, 7
		})
		time.Sleep(time.Minute)
		if diff := cmp.Diff(before, r.bindIDs()); diff != "" {
			t.Errorf("binds (-want +got):\n%s", diff)
		}
		if err := r.Change(Config{SystemID: "acme"}); err == nil {
			t.Error("a configuration without endpoints was taken")
		}
	})
}

func TestBindsBecomePairsOneAfterAnother(t *testing.T) {
	bubble(t, smsctest.Config{}, Config{Binds: 2}, Deps{}, func(t *testing.T, r *rig) {
		fewest := r.least(t, func() {
			r.change(t, func(c *Config) { c.Pair = true })
			time.Sleep(time.Second)
		})
		if fewest < 1 {
			t.Error("nothing was bound meanwhile")
		}
		var names []string
		for _, s := range r.Snapshot() {
			names = append(names, s.Bind+" "+s.Type.String())
		}
		want := []string{"acme/1/tx bind_transmitter", "acme/1/rx bind_receiver", "acme/2/tx bind_transmitter", "acme/2/rx bind_receiver"}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("binds (-want +got):\n%s", diff)
		}
		if n := len(r.boundThere()); n != 4 {
			t.Errorf("%d sessions", n)
		}
		r.change(t, func(c *Config) { c.Pair = false })
		time.Sleep(time.Second)
		if n := len(r.boundThere()); n != 2 || r.Bound() != 2 {
			t.Errorf("%d sessions and %d binds after the change back", n, r.Bound())
		}
	})
}

func TestBindsUnderAQuotaKeepTheirSlotsThroughAChange(t *testing.T) {
	sim := smsctest.Config{MaxBinds: 2, Credentials: map[string]string{"acme": "old"}}
	bubble(t, sim, Config{Binds: 2, Password: "old"}, Deps{Slots: &office{slots: 2}}, func(t *testing.T, r *rig) {
		time.Sleep(5 * time.Second)
		r.change(t, func(c *Config) { c.EnquireLink = 20 * time.Second })
		time.Sleep(5 * time.Second)
		if n := r.Bound(); n != 2 {
			t.Fatalf("%d bound after a change that binds again", n)
		}
		r.change(t, func(c *Config) { c.Binds = 1 })
		time.Sleep(5 * time.Second)
		if s := r.Slots(); r.Bound() != 1 || s.Held != 1 || s.Wanted != 1 {
			t.Errorf("%d bound, slots %+v", r.Bound(), s)
		}
		r.change(t, func(c *Config) { c.Binds = 2 })
		time.Sleep(5 * time.Second)
		if s := r.Slots(); r.Bound() != 2 || s.Held != 2 {
			t.Errorf("%d bound, slots %+v", r.Bound(), s)
		}
	})
}
