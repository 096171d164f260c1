package receipts

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

type discard struct{}

func (discard) Publish(context.Context, *sms.Result) error         { return nil }
func (discard) PublishInbound(context.Context, *sms.Inbound) error { return nil }

// BenchmarkMessage is what one message asks of Redis: claim, accept with
// outcome, and the receipt's look-up.
func BenchmarkMessage(b *testing.B) {
	for _, callers := range []int{64, 256, 1000} {
		b.Run("callers="+strconv.Itoa(callers), func(b *testing.B) {
			srv := redistest.Start(b)
			rdb, err := Connect(srv.URL())
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = rdb.Close() })
			d, err := New(Config{WorkerID: "bench"}, Deps{
				Redis: rdb, Publisher: discard{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
			})
			if err != nil {
				b.Fatal(err)
			}
			ctx := b.Context()
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ReportAllocs()
			before := cpuTime(b)
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						if err := message(ctx, d, strconv.FormatInt(n, 10)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/message")
		})
	}
}

// cpuTime is what this process has used, without the server: wall-clock time
// says little on a shared machine.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func message(ctx context.Context, d *Desk, id string) error {
	ref := jobRef(id)
	c, err := d.ledger.Claim(ctx, ref)
	if err != nil {
		return err
	}
	if _, err := d.ledger.Accept(ctx, ref, c.Token, accepted(1, 1, "id"+id), nil, outcomeOf(ref)); err != nil {
		return err
	}
	d.Deliver(ctx, "acme", "acme/1", deliverReceipt("id"+id, "DELIVRD"))
	return nil
}

func BenchmarkParse(b *testing.B) {
	m := deliverReceipt("7f2a9c31", "DELIVRD")
	b.ReportAllocs()
	for b.Loop() {
		Parse(m)
	}
}
