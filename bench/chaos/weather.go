package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/shortwire-sms/shortwire/bench/internal/load"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
)

// weather is who makes a storm happen.
type weather struct {
	s     *scene
	slots []*slot
}

// slot is one place of a worker, as a supervisor would keep it.
type slot struct {
	id   string
	proc *rig.Proc // nil while it was killed
}

// rage plays the storm and leaves everything running.
func (s *scene) rage(ctx context.Context) error {
	w := &weather{s: s}
	for _, p := range s.workers {
		w.slots = append(w.slots, &slot{id: p.Name(), proc: p})
	}
	begun := time.Now()
	for _, st := range s.storm.steps {
		t := time.NewTimer(time.Until(begun.Add(st.at)))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
		progress("%s", st)
		if err := w.happen(ctx, st); err != nil {
			return fmt.Errorf("%s: %w", st, err)
		}
		if err := w.revive(); err != nil {
			return err
		}
	}
	return w.calm(ctx)
}

func (w *weather) happen(ctx context.Context, st step) error {
	s := w.s
	switch st.what {
	case killWorker:
		p := w.slots[st.who].proc
		w.slots[st.who].proc = nil
		return p.Kill()
	case startWorker:
		return w.startWorker(w.slots[st.who], st.fresh)
	case breakConn:
		s.relay.Break(st.who, st.answers, st.octets, st.silent)
		return nil
	case killNATS:
		return s.nats.Kill()
	case startNATS:
		return s.nats.Restart(ctx)
	case killRedis:
		return s.redis.Kill()
	case startRedis:
		return s.redis.Restart(ctx)
	case stallRedis:
		return s.redis.Signal(syscall.SIGSTOP)
	case resumeRedis:
		return s.redis.Signal(syscall.SIGCONT)
	case emptyRedis:
		if err := s.redis.Kill(); err != nil {
			return err
		}
		if err := os.RemoveAll(filepath.Join(s.rig.Dir(), "redis")); err != nil {
			return err
		}
		if _, err := s.rig.Subdir("redis"); err != nil {
			return err
		}
		err := s.redis.Restart(ctx)
		s.emptied = append(s.emptied, time.Now())
		return err
	}
	return errors.New("nobody knows how")
}

// startWorker begins a worker in a slot.
func (w *weather) startWorker(sl *slot, fresh bool) (err error) {
	if fresh {
		w.s.started++
		sl.id = fmt.Sprintf("worker-%d", w.s.started)
	}
	config, err := w.s.config(sl.id)
	if err != nil {
		return err
	}
	sl.proc, err = w.s.rig.Start(sl.id, load.Env(), w.s.bin.Shortwire, "run", "--config", config)
	return err
}

// unreachable is the exit code of a worker that found no NATS or no Redis.
const unreachable = 3

// revive starts those again that ended because a server was away, as every
// supervisor would; any other end is a fault.
func (w *weather) revive() error {
	for _, sl := range w.slots {
		if sl.proc == nil {
			continue
		}
		select {
		case <-sl.proc.Done():
		default:
			continue
		}
		code, err := sl.proc.Terminate(context.Background())
		if err == nil && code != unreachable {
			err = fmt.Errorf("%s ended by itself with code %d\n%s", sl.id, code, sl.proc.Tail(30))
		}
		if err == nil {
			progress("%s found a server away and is started again", sl.id)
			err = w.startWorker(sl, false)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// calm waits until every worker is ready.
func (w *weather) calm(ctx context.Context) error {
	w.s.workers = nil
	for _, sl := range w.slots {
		for {
			if err := w.revive(); err != nil {
				return err
			}
			tick := time.NewTimer(time.Second)
			select {
			case <-sl.proc.Done():
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-tick.C:
			}
			break
		}
		w.s.workers = append(w.s.workers, sl.proc)
	}
	return nil
}
