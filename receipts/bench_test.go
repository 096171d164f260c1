package receipts

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

type discard struct{}

func (discard) Publish(context.Context, *sms.Result) error                     { return nil }
func (discard) PublishThen(_ context.Context, _ *sms.Result, done func(error)) { done(nil) }
func (discard) PublishInbound(context.Context, *sms.Inbound) error             { return nil }

func benchDesk(b *testing.B) *Desk {
	b.Helper()
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
	return d
}

// BenchmarkMessage is what one message asks of Redis: claim, accept with
// outcome, and the receipt's look-up.
func BenchmarkMessage(b *testing.B) {
	for _, callers := range []int{64, 256, 1000} {
		b.Run("callers="+strconv.Itoa(callers), func(b *testing.B) {
			d := benchDesk(b)
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

// BenchmarkStep is what each step costs when 64 callers share the pipelines.
// What the steps are given is made before, and each step's before it.
func BenchmarkStep(b *testing.B) {
	const callers = 64
	for _, step := range []string{"claim", "accept", "deliver"} {
		b.Run(step, func(b *testing.B) {
			d := benchDesk(b)
			ctx := b.Context()
			jobs := make([]stepInput, b.N)
			each := func(do func(in *stepInput) error) {
				var next atomic.Int64
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
							if err := do(&jobs[n-1]); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			}
			for i := range jobs {
				id := strconv.Itoa(i)
				ref := jobRef(id)
				jobs[i] = stepInput{ref, "", accepted(1, 1, "id"+id), outcomeOf(ref), deliverReceipt("id"+id, "DELIVRD")}
			}
			steps := map[string]func(in *stepInput) error{
				"claim": func(in *stepInput) error {
					c, err := d.ledger.Claim(ctx, in.ref)
					in.token = c.Token
					return err
				},
				"accept": func(in *stepInput) error {
					_, err := d.ledger.Accept(ctx, in.ref, in.token, in.accepted, nil, in.outcome)
					return err
				},
				"deliver": func(in *stepInput) error {
					d.Deliver(ctx, "acme", "acme/1", in.receipt)
					return nil
				},
			}
			for _, before := range []string{"claim", "accept", "deliver"} {
				if before == step {
					break
				}
				each(steps[before])
			}
			b.ReportAllocs()
			asked := d.commandsAsked(b)
			b.ResetTimer()
			each(steps[step])
			b.StopTimer()
			b.ReportMetric(float64(d.commandsAsked(b)-asked-1)/float64(b.N), "redis-commands/op")
		})
	}
}

type stepInput struct {
	ref      sms.JobRef
	token    string
	accepted sms.Accepted
	outcome  *sms.Result
	receipt  *sms.Message
}

// commandsAsked is how many commands Redis has run.
func (d *Desk) commandsAsked(tb testing.TB) int {
	tb.Helper()
	info := d.store.client.Info(context.Background(), "stats").Val()
	_, rest, _ := strings.Cut(info, "total_commands_processed:")
	line, _, _ := strings.Cut(rest, "\r\n")
	n, _ := strconv.Atoi(line)
	return n
}

// BenchmarkParse reports what a core does in a second of its own time:
// wall-clock time says little on a shared machine.
func BenchmarkParse(b *testing.B) {
	text := deliverReceipt("0059113979", "DELIVRD")
	both := deliverReceipt("0059113979", "DELIVRD")
	both.TLVs = []sms.TLV{
		{Tag: sms.TagReceiptedMsgID, Value: []byte("38601FB\x00")},
		{Tag: sms.TagMessageState, Value: []byte{2}},
		{Tag: sms.TagNetworkError, Value: []byte{3, 4, 0}},
	}
	for name, m := range map[string]*sms.Message{"text": text, "text and TLVs": both} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				Parse(m)
			}
			b.ReportMetric(float64(b.N)/(cpuTime(b)-before).Seconds(), "receipts/cpu-s")
		})
	}
}
