package binds

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// network dials simulated endpoints, of which some are down.
type network struct {
	mu      sync.Mutex
	smsc    *smsctest.SMSC  // guarded by mu
	down    map[string]bool // guarded by mu
	dialled map[string]int  // guarded by mu
}

func (n *network) dial(ctx context.Context, proto, addr string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dialled[addr]++
	if n.smsc == nil || n.down[addr] {
		return nil, errors.New("down")
	}
	return n.smsc.DialContext(ctx, proto, addr)
}

func (n *network) set(smsc *smsctest.SMSC, down ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.smsc, n.down = smsc, map[string]bool{}
	for _, d := range down {
		n.down[d] = true
	}
}

func (n *network) count(addr string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dialled[addr]
}

// at returns the endpoint of each bind that is bound.
func (r *rig) at() (out []string) {
	synctest.Wait()
	for _, s := range r.Snapshot() {
		if s.State == StateBound {
			out = append(out, s.Endpoint)
		}
	}
	return out
}

func TestBindsPreferTheirEndpoints(t *testing.T) {
	for name, want := range map[string][]string{
		"spread":  {"a:1", "b:1", "c:1", "a:1"},
		"ordered": {"a:1", "a:1", "a:1", "a:1"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Endpoints: []string{"a:1", "b:1", "c:1"}, Binds: 4, Ordered: name == "ordered"}
			bubble(t, smsctest.Config{}, cfg, Deps{}, func(t *testing.T, r *rig) {
				if diff := cmp.Diff(want, r.at()); diff != "" {
					t.Errorf("bound at (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestABindFailsOverAndReturnsWhenItsEndpointIsBack(t *testing.T) {
	n := &network{dialled: map[string]int{}}
	cfg := Config{Endpoints: []string{"a:1", "b:1"}, Binds: 2, Ordered: true}
	bubble(t, smsctest.Config{}, cfg, Deps{Dial: n.dial}, func(t *testing.T, r *rig) {
		n.set(r.smsc, "a:1")
		time.Sleep(10 * time.Second)
		if diff := cmp.Diff([]string{"b:1", "b:1"}, r.at()); diff != "" {
			t.Fatalf("while a is down, bound at (-want +got):\n%s", diff)
		}
		tried := n.count("a:1")
		time.Sleep(4*time.Minute + 30*time.Second)
		if got := n.count("a:1"); got != tried {
			t.Errorf("looked for a %d times within return_after", got-tried)
		}
		time.Sleep(time.Hour) // a is looked for now and then, and the binds stay
		if got := n.count("a:1") - tried; got < 10 || got > 30 {
			t.Errorf("looked for a %d times within an hour", got)
		}
		if st := r.smsc.Stats(); st.Unbinds != 0 || r.Bound() != 2 {
			t.Errorf("%d unbinds while a was down, %d bound", st.Unbinds, r.Bound())
		}
		n.set(r.smsc)
		time.Sleep(20 * time.Minute)
		if diff := cmp.Diff([]string{"a:1", "a:1"}, r.at()); diff != "" {
			t.Errorf("when a is back, bound at (-want +got):\n%s", diff)
		}
		if st := r.smsc.Stats(); st.Unbinds != 2 || st.BindsTotal != 4 {
			t.Errorf("%d unbinds, %d binds, want 2 and 4", st.Unbinds, st.BindsTotal)
		}
	})
}

func TestAnEndpointThatKeepsFailingIsReturnedToLessAndLess(t *testing.T) {
	n := &network{dialled: map[string]int{}}
	var atA int
	sim := smsctest.Config{}
	flaky := func(ctx context.Context, proto, addr string) (net.Conn, error) {
		if addr == "a:1" {
			atA++
			client, server := net.Pipe()
			_ = server.Close() // it accepts connections and takes no bind
			return client, nil
		}
		return n.dial(ctx, proto, addr)
	}
	cfg := Config{Endpoints: []string{"a:1", "b:1"}}
	bubble(t, sim, cfg, Deps{Dial: flaky}, func(t *testing.T, r *rig) {
		n.set(r.smsc)
		time.Sleep(5 * time.Hour)
		// Each return looks once and binds once. Every 5m that would be 120; at
		// 8 × 5m it is some 16 after the first few.
		synctest.Wait()
		if atA < 10 || atA > 36 {
			t.Errorf("connected to the failing endpoint %d times within five hours", atA)
		}
	})
}

func TestAReturnToThePreferredEndpointWaitsForSlowAnswers(t *testing.T) {
	n := &network{dialled: map[string]int{}}
	sim := smsctest.Config{Latency: 50 * time.Second}
	cfg := Config{Endpoints: []string{"a:1", "b:1"}, ReturnAfter: time.Minute}
	bubble(t, sim, cfg, Deps{Dial: n.dial}, func(t *testing.T, r *rig) {
		n.set(r.smsc, "a:1")
		time.Sleep(10 * time.Second)
		n.set(r.smsc)
		for {
			synctest.Wait()
			res, _ := r.TryReserve(1)
			if res == nil {
				t.Fatal("no bind")
			}
			done := make(chan []sms.Code, 1)
			go func() {
				done <- codes(slices.Collect(exchange(t.Context(), res, sms.JobRef{}, parts(1, "447700900123"))))
			}()
			if got := <-done; got[0] != "" {
				t.Errorf("sent while the bind returned: %s", got[0])
			}
			time.Sleep(time.Second)
			if at := r.at(); len(at) == 1 && at[0] == "a:1" {
				return
			}
		}
	})
}
