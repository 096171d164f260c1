package receipts

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

func TestCommandsUsedAgainCarryNothingOver(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := newTestStore(t, client(t, srv.Addr))
	ctx := t.Context()
	ask := func(key, value string, fill func(c *command) *command) string {
		c := s.command()
		c.key, c.value = append(c.key, key...), append(c.value, value...)
		must(one(ctx, s, "test", func() *command { return fill(c) }))(t)
		defer s.done(c)
		return c.Val()
	}
	setIfAbsent := func(c *command) *command { return c.setIfAbsent(60_000) }
	replace := func(c *command) *command { return c.replace(60_000) }
	var got []string
	for range 3 { // the pool may give another
		got = append(got[:0],
			ask("a long key", "a long value", replace),
			ask("a long key", "another", setIfAbsent),
			ask("k", "v", setIfAbsent),
			ask("a long key", "", (*command).get),
			ask("absent", "", (*command).get),
			ask("k", "", (*command).get),
		)
		if err := s.client.Del(ctx, "a long key", "k").Err(); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"", "a long value", "", "a long value", "", "v"}, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

func TestACommandThatFailedIsAskedAgainWithoutItsError(t *testing.T) {
	t.Parallel()
	srv := start(t)
	relay := newRelay(t, srv.Addr)
	c := redis.NewClient(&redis.Options{Addr: relay.addr, MaxRetries: -1})
	t.Cleanup(func() { _ = c.Close() })
	s := newTestStore(t, c)
	if err := set(t.Context(), s, "key", "value"); err != nil {
		t.Fatal(err)
	}
	relay.lose.Store(1)
	cmd, tries := s.command(), 0
	cmd.key = append(cmd.key, "key"...)
	must(one(t.Context(), s, "test", func() *command { tries++; return cmd.get() }))(t)
	if cmd.Val() != "value" || tries != 2 {
		t.Errorf("answered %q after %d tries, want value after 2", cmd.Val(), tries)
	}
}

// Two nodes with half of the slots each, neither knowing the other: a command
// that goes to the wrong one is refused.
func TestEachCommandFindsItsNodeOfRedisCluster(t *testing.T) {
	t.Parallel()
	const half = 8192
	var slots []redis.ClusterSlot
	for n := range 2 {
		_, busPort, err := net.SplitHostPort(redistest.FreeAddr(t))
		if err != nil {
			t.Fatal(err)
		}
		srv := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-port", busPort, "--cluster-require-full-coverage", "no")
		if !srv.Real() {
			t.Skip("needs redis-server: miniredis is no cluster")
		}
		admin := client(t, srv.Addr)
		if err := admin.Do(t.Context(), "cluster", "addslotsrange", n*half, (n+1)*half-1).Err(); err != nil {
			t.Fatal(err)
		}
		until(t, "the node is up", func() bool {
			info, err := admin.ClusterInfo(t.Context()).Result()
			return err == nil && strings.Contains(info, "cluster_state:ok")
		})
		slots = append(slots, redis.ClusterSlot{Start: n * half, End: (n+1)*half - 1, Nodes: []redis.ClusterNode{{Addr: srv.Addr}}})
	}
	rdb := redis.NewClusterClient(&redis.ClusterOptions{
		MaxRedirects: -1,
		ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) { return slots, nil },
	})
	t.Cleanup(func() { _ = rdb.Close() })
	pub := new(results)
	d := must(New(Config{WorkerID: "pod-0"}, Deps{Redis: rdb, Publisher: pub, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}))(t)
	const jobs = 20
	for n := range jobs {
		id := strconv.Itoa(n)
		submit(t, d, jobRef("j"+id), "A"+id)
		deliver(t, d, deliverReceipt("A"+id, "DELIVRD"), statusOK)
	}
	if got := pub.list(); len(got) != jobs || !d.Healthy() {
		t.Errorf("%d of %d receipts published, healthy %v", len(got), jobs, d.Healthy())
	}
	var refused int
	for _, s := range slots {
		errs := client(t, s.Nodes[0].Addr).Info(t.Context(), "errorstats").Val()
		refused += strings.Count(errs, "errorstat_MOVED") + strings.Count(errs, "errorstat_CLUSTERDOWN")
	}
	if refused != 0 {
		t.Error("a node was asked for keys of the other")
	}
}

func TestCallersOfABatchThatIsOverdueStillGetTheirAnswers(t *testing.T) {
	t.Parallel()
	srv, _, s := patientStore(t)
	if err := set(t.Context(), s, "key", "value"); err != nil {
		t.Fatal(err)
	}
	if err := s.group.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	resume := srv.Stall()
	answers := make(chan string, 2)
	ask := func() {
		cmd, err := one(t.Context(), s, "get", func() *redis.StringCmd { return getCmd(t.Context(), "key") })
		if err != nil {
			t.Error(err)
		}
		answers <- cmd.Val()
	}
	overdue := func() int {
		s.group.mu.Lock()
		defer s.group.mu.Unlock()
		n := 0
		for _, b := range append(s.group.waiting, s.group.flying) {
			if b != nil && b.ended != nil {
				n++
			}
		}
		return n
	}
	for n := range 2 {
		go ask()
		until(t, "its batch is overdue", func() bool { return overdue() == n+1 })
	}
	resume()
	for range 2 {
		if got := <-answers; got != "value" {
			t.Errorf("answered %q, want value", got)
		}
	}
}

func TestDeliveriesOfOneTimeAndCallerShareADeadline(t *testing.T) {
	t.Parallel()
	type key struct{}
	a, b := context.WithValue(t.Context(), key{}, "a"), context.WithValue(t.Context(), key{}, "b")
	now := time.Now()
	const timeout = time.Minute
	var all terms
	first := all.join(a, now, timeout)
	at, _ := first.Deadline()
	if want := now.Add(timeout); !at.Equal(want) {
		t.Errorf("deadline %v, want %v", at, want)
	}
	if got := all.join(a, now.Add(timeout/50-1), timeout); got != first {
		t.Error("a delivery soon after has a deadline of its own")
	}
	if got := all.join(a, now.Add(timeout/50), timeout); got == first {
		t.Error("a delivery later on is given less than its time")
	}
	if got := all.join(b, now, timeout); got.Value(key{}) != "b" {
		t.Error("a delivery has the ctx of another caller")
	}
	gone, leave := context.WithCancel(a)
	left := all.join(gone, now, timeout)
	leave()
	if left.Err() == nil {
		t.Error("a delivery outlives its caller")
	}
	all.join(a, now.Add(timeout), timeout)
	if _, kept := all.of[gone]; kept {
		t.Error("the terms of a caller that is gone are kept")
	}
}
