package receipts

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// epoch is since when Redis has kept everything that it was given. A Redis that
// restarts empty, or with less than it had, answers like one that never heard
// of a job; what is kept under the epoch's key tells the two apart.
//
// Setup makes the key, before there is a stream that a job could be in, so a job
// that is older than its ledger is one whose ledger was lost. The key says when the ledger began, and has a beat: each worker sets it
// whenever it renews its lease, and remembers it. A missing key, or a beat older
// than one that was answered, means that data was lost; then the ledger begins
// now. A Redis that comes back with a little less while no worker runs is not
// noticed. The clocks of Redis and of NATS may differ by as much as Redis takes
// to come back.
type epoch struct {
	store *store
	key   string

	mu    sync.Mutex
	began int64 // Unix ms, 0 before the first answer; guarded by mu
	beat  int64 // the latest that was answered, Unix ms; guarded by mu
	lost  time.Time
}

// Begin makes the epoch unless there is one, and notes which servers keep it. prefix is Config.Prefix, empty for
// its default.
func Begin(ctx context.Context, client redis.UniversalClient, prefix string) error {
	k := newKeys(cmp.Or(prefix, defaultPrefix))
	if err := epochScript.Run(ctx, client, []string{k.epoch}, 0).Err(); err != nil {
		return fmt.Errorf("begin ledger: %w", err)
	}
	m := masters{store: newStore(client, slog.New(slog.DiscardHandler)), key: k.epoch}
	return m.look(ctx)
}

// look asks since when the ledger has been whole, and beats.
func (e *epoch) look(ctx context.Context) (began time.Time, err error) {
	cmd, err := one(ctx, e.store, "look at the ledger's epoch", func() *redis.Cmd {
		e.mu.Lock()
		beat := e.beat
		e.mu.Unlock()
		return call(ctx, epochScript, []string{e.key}, beat)
	})
	if err != nil {
		return time.Time{}, err
	}
	answer, err := cmd.StringSlice()
	if err != nil || len(answer) != 2 {
		return time.Time{}, redis.Nil // not from our script
	}
	at, _ := strconv.ParseInt(answer[0], 10, 64)
	beat, _ := strconv.ParseInt(answer[1], 10, 64)
	began = time.UnixMilli(at)

	e.mu.Lock()
	known := e.began
	e.began, e.beat = max(at, known), max(beat, e.beat)
	changed := known != 0 && at > known
	if changed {
		e.lost = began
	}
	e.mu.Unlock()
	switch {
	case changed:
		e.store.log.Error("redis lost what it knew of jobs: receipts of messages sent before will be unmatched, and jobs that were in hand are in doubt",
			"since", began.UTC(), "whole_since", time.UnixMilli(known).UTC())
	case known == 0:
		e.store.log.Info("ledger found", "whole_since", began.UTC())
	}
	return began, nil
}

// LedgerLost is when this worker last saw that Redis had lost what it knew of
// jobs, zero for never.
func (d *Desk) LedgerLost() time.Time {
	d.epoch.mu.Lock()
	defer d.epoch.mu.Unlock()
	return d.epoch.lost
}

// forgotten reports whether a job that nothing is known of may have been begun
// before: it was delivered before, and the ledger, or the server that keeps this
// part of it, is younger than the job.
func (l *Ledger) forgotten(ctx context.Context, ref sms.JobRef) (since time.Time, err error) {
	if ref.Stored == 0 {
		return time.Time{}, nil
	}
	stored := time.UnixMilli(ref.Stored)
	if since, err = l.desk.epoch.look(ctx); err != nil || !stored.After(since) {
		return since, err
	}
	since, err = l.desk.masters.of(ctx, l.desk.keys.job(ref.Producer, ref.JobID))
	if err != nil || stored.After(since) || time.Since(since) > doubtAfterTakeover {
		return time.Time{}, err
	}
	return since, nil
}
