package receipts

import (
	"io"
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

// maxAllocs is for one message: claim, accept with outcome, and the receipt,
// with its share of the pipelines. Measured 14.4; the rest is for batches that
// happen to be small.
const maxAllocs = 17

// answerless is a delivery whose answer nobody reads.
type answerless struct{ message *sms.Message }

func (a answerless) Content() *sms.Message { return a.message }
func (a answerless) Answer(uint32)         {}

// Not parallel: allocations are counted for the whole process.
func TestAMessageAllocatesLittle(t *testing.T) {
	srv := redistest.Start(t)
	if !srv.Real() {
		t.Skip("needs redis-server: miniredis allocates in this process")
	}
	if raceDetector {
		t.Skip("under the race detector a pool drops some of what it is given")
	}
	d, err := New(Config{WorkerID: "budget"}, Deps{
		Redis: client(t, srv.Addr), Publisher: discard{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	const callers, each = 64, 50
	type input struct {
		ref      sms.JobRef
		accepted sms.Accepted
		outcome  *sms.Result
	}
	inputs := make([]input, callers*each)
	var bursts [callers][]Delivery
	for i := range inputs {
		id := strconv.Itoa(i)
		ref := jobRef("job" + id)
		inputs[i] = input{ref, accepted(1, 1, "id"+id), outcomeOf(ref)}
		bursts[i/each] = append(bursts[i/each], answerless{deliverReceipt("id"+id, "DELIVRD")})
	}
	claim(t, d, jobRef("warm-up"), sms.ClaimFresh)
	ctx := t.Context()
	one := func(in input) error {
		c, err := d.ledger.Claim(ctx, in.ref)
		if err != nil {
			return err
		}
		_, err = d.ledger.Accept(ctx, in.ref, c.Token, in.accepted, nil, in.outcome)
		return err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() {
			for _, in := range inputs[n*each : (n+1)*each] {
				if err := one(in); err != nil {
					t.Error(err)
				}
			}
			d.DeliverAll(ctx, "acme", "acme/1", bursts[n])
		})
	}
	wg.Wait()
	runtime.ReadMemStats(&after)
	got := float64(after.Mallocs-before.Mallocs) / float64(len(inputs))
	t.Logf("%.1f allocations per message", got)
	if got > maxAllocs {
		t.Errorf("%.1f allocations per message, want at most %d", got, maxAllocs)
	}
	if got := d.Stats().Matched; got != int64(len(inputs)) {
		t.Errorf("%d of %d receipts matched", got, len(inputs))
	}
}
