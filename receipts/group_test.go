package receipts

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

func newTestStore(t *testing.T, client redis.UniversalClient) *store {
	t.Helper()
	return newStore(client, slog.New(slog.NewTextHandler(io.Discard, nil)))
}

// patientStore is of a client that waits 3 s for an answer, with its server.
func patientStore(t *testing.T) (*redistest.Server, *redis.Client, *store) {
	t.Helper()
	srv := start(t)
	c := redis.NewClient(&redis.Options{Addr: srv.Addr})
	t.Cleanup(func() { _ = c.Close() })
	return srv, c, newTestStore(t, c)
}

// set is a step that sets a key.
func set(ctx context.Context, s *store, key, value string) error {
	_, err := one(ctx, s, "set", func() *redis.StatusCmd { return redis.NewStatusCmd(ctx, "set", key, value) })
	return err
}

func TestStepsOfManyCallersAreEachAnsweredWithTheirOwn(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := newTestStore(t, client(t, srv.Addr))
	ctx := t.Context()
	var wg sync.WaitGroup
	for n := range 3 * maxBatch {
		wg.Go(func() {
			key := strconv.Itoa(n)
			cmds, err := s.many(ctx, "set and get", func() []redis.Cmder {
				return []redis.Cmder{redis.NewStatusCmd(ctx, "set", key, "v"+key), getCmd(ctx, key), getCmd(ctx, "absent")}
			})
			if err != nil {
				t.Error(err)
				return
			}
			if got := cmds[1].(*redis.StringCmd).Val(); got != "v"+key {
				t.Errorf("key %s answers %q", key, got)
			}
			if !errors.Is(cmds[2].Err(), redis.Nil) {
				t.Errorf("absent key: %v", cmds[2].Err())
			}
		})
	}
	wg.Wait()
	if err := s.group.wait(ctx); err != nil {
		t.Fatal(err)
	}
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	if s.group.running || len(s.group.waiting) > 0 {
		t.Errorf("the flusher runs %v with %d batches waiting, want it to have ended", s.group.running, len(s.group.waiting))
	}
}

func TestACallerLeavesAStalledRedisAndWhatItDidNotSendIsDropped(t *testing.T) {
	t.Parallel()
	srv, c, s := patientStore(t)
	if err := set(t.Context(), s, "key", "before"); err != nil {
		t.Fatal(err)
	}
	if err := s.group.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	resume := srv.Stall()
	impatient, leave := context.WithCancel(t.Context())
	defer leave()
	var wg sync.WaitGroup
	for _, value := range []string{"in flight", "waiting"} {
		wg.Go(func() {
			if err := set(impatient, s, value, value); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v, want that it was left", value, err)
			}
		})
		until(t, "the step is in the pipeline or behind it", func() bool {
			s.group.mu.Lock()
			defer s.group.mu.Unlock()
			return s.group.running && (value == "in flight") == (len(s.group.waiting) == 0)
		})
	}
	begun := time.Now()
	leave()
	wg.Wait()
	if took := time.Since(begun); took > time.Second {
		t.Errorf("left after %v", took)
	}
	resume()
	if err := set(t.Context(), s, "in flight", "later"); err != nil {
		t.Fatal(err)
	}
	if got := c.Get(t.Context(), "in flight").Val(); got != "later" {
		t.Errorf("the step after the one that was left was overtaken by it: %q", got)
	}
	if got := c.Exists(t.Context(), "waiting").Val(); got != 0 {
		t.Error("a step that nobody waited for was sent")
	}
}

func TestWhoDoesNotWaitIsToldOnceAlsoWhenItLeaves(t *testing.T) {
	t.Parallel()
	srv, c, s := patientStore(t)
	var mu sync.Mutex
	told := make(map[string][]error)
	ask := func(ctx context.Context, key string) {
		s.group.then(ctx, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			told[key] = append(told[key], err)
		}, redis.NewStatusCmd(ctx, "set", key, key), redis.NewStatusCmd(ctx, "set", key))
	}
	heard := func(n int) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(told) == n
		}
	}
	ask(t.Context(), "refused") // by its second command
	until(t, "the first is told", heard(1))
	resume := srv.Stall()
	impatient, leave := context.WithCancel(t.Context())
	defer leave()
	ask(impatient, "in flight")
	until(t, "it is in the pipeline", func() bool {
		s.group.mu.Lock()
		defer s.group.mu.Unlock()
		return s.group.flying != nil
	})
	ask(impatient, "waiting")
	ask(t.Context(), "patient")
	leave()
	until(t, "those who left are told", heard(3))
	resume()
	until(t, "all are told", heard(4))
	if err := s.group.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, key := range []string{"refused", "in flight", "waiting", "patient"} {
		left := key == "in flight" || key == "waiting"
		if got := told[key]; len(got) != 1 || got[0] == nil || errors.Is(got[0], context.Canceled) != left {
			t.Errorf("%s is told %v", key, got)
		}
	}
	if got := c.Exists(t.Context(), "waiting", "patient").Val(); got != 1 {
		t.Errorf("%d of what waited was sent, want what somebody waits for", got)
	}
}

// go-redis tells this error to nobody but who executes the pipeline.
func TestARefusedConnectionIsNoAnswer(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	if !srv.Real() {
		t.Skip("needs redis-server: miniredis has no CONFIG SET")
	}
	admin := client(t, srv.Addr)
	if err := admin.ConfigSet(t.Context(), "requirepass", "right").Err(); err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(&redis.Options{Addr: srv.Addr, Password: "wrong", MaxRetries: -1})
	t.Cleanup(func() { _ = c.Close() })
	s := newTestStore(t, c)
	if err := s.group.run(t.Context(), getCmd(t.Context(), "key")); err == nil {
		t.Error("a command that was never sent counts as answered")
	}
}
