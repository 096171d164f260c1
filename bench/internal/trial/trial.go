// Package trial publishes jobs whose fate can be told, waits until nothing more
// is owed, and has package judge read both records.
package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/load"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
)

// Trial is a run that will be judged.
type Trial struct {
	JS       jetstream.JetStream
	SMSC     *rig.SMSC
	Record   string   // the simulator's, a file
	Streams  []string // those that must be empty in the end
	Progress func(format string, args ...any)

	judge *judge.Judge
	jobs  int
	next  uint64 // sequence of the results stream to read on from
}

// Expect begins the trial of these jobs.
func (t *Trial) Expect(jobs []judge.Job) { t.judge, t.jobs, t.next = judge.New(jobs), len(jobs), 1 }

// Judge is who hears the facts.
func (t *Trial) Judge() *judge.Judge { return t.judge }

// Settle waits until every job has an outcome, every accepted message its
// receipt and nothing waits in a stream, or until nothing has come for stall:
// the verdict tells then what is missing, and settled is false. An error of
// alive, which is asked every second, ends it.
func (t *Trial) Settle(ctx context.Context, stall time.Duration, alive func() error) (settled bool, err error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var before state
	moved := time.Now()
	for {
		if err := alive(); err != nil {
			return false, err
		}
		now, err := t.look(ctx)
		if err != nil {
			return false, err
		}
		if now.done(t.jobs) {
			return true, nil
		}
		if now != before {
			before, moved = now, time.Now()
		}
		t.Progress("%s", now)
		if time.Since(moved) > stall {
			t.Progress("nothing has come for %s", stall)
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// state is how far everything is.
type state struct {
	judge.Progress
	accepted int64  // by the SMSC
	owed     int64  // receipts that the SMSC still keeps
	waiting  uint64 // jobs in their stream and retries in theirs
}

func (t *Trial) look(ctx context.Context) (st state, err error) {
	for _, stream := range t.Streams {
		n, err := load.Waiting(ctx, t.JS, stream)
		if err != nil {
			return st, err
		}
		st.waiting += n
	}
	stats, err := t.SMSC.Stats(ctx)
	if err != nil {
		return st, err
	}
	st.accepted = stats.Accepted
	st.owed = stats.Receipts.Due - stats.Receipts.Acked - stats.Receipts.Refused
	if t.next, err = load.ReadResults(ctx, t.JS, t.next, t.judge.Result); err != nil {
		return st, err
	}
	st.Progress = t.judge.Progress()
	return st, nil
}

func (st state) done(jobs int) bool {
	return st.Outcomes >= jobs && int64(st.Receipts) >= st.accepted && st.owed == 0 && st.waiting == 0
}

// String tells the state.
func (st state) String() string {
	return fmt.Sprintf("%d outcomes, %d of %d receipts, %d at the SMSC, %d waiting in streams",
		st.Outcomes, st.Receipts, st.accepted, st.owed, st.waiting)
}

// End stops the workers in order, and the simulator so that its record is whole.
func (t *Trial) End(ctx context.Context, workers []*rig.Proc) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 40*time.Second, errors.New("not within 40 s"))
	defer cancel()
	for _, w := range workers {
		code, err := w.Terminate(ctx)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, w.Tail(30))
		}
		if code != 0 {
			return fmt.Errorf("%s ended with code %d after SIGTERM\n%s", w.Name(), code, w.Tail(30))
		}
	}
	_, err := t.SMSC.Terminate(ctx)
	return err
}

// Verdict reads what is left of both records and judges.
func (t *Trial) Verdict(ctx context.Context) (*judge.Verdict, error) {
	if _, err := load.ReadResults(ctx, t.JS, t.next, t.judge.Result); err != nil {
		return nil, err
	}
	f, err := os.Open(t.Record)
	if err != nil {
		return nil, fmt.Errorf("open the simulator's record: %w", err)
	}
	defer f.Close()
	if err := t.judge.ReadRecord(f); err != nil {
		return nil, err
	}
	return t.judge.Verdict(), nil
}

// Arrivals reads the simulator's record once more, for its times.
func (t *Trial) Arrivals() (*judge.Arrivals, error) {
	f, err := os.Open(t.Record)
	if err != nil {
		return nil, fmt.Errorf("open the simulator's record: %w", err)
	}
	defer f.Close()
	return judge.ReadArrivals(f)
}
