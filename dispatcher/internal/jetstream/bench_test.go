package jetstream

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

const inFlight = 500 // goroutines, as with one goroutine per job and that window

func benchClient(b *testing.B) *Client {
	b.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: b.TempDir(), JetStreamMaxStore: 8 << 30,
	})
	if err != nil {
		b.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		b.Fatal("embedded nats-server does not start")
	}
	b.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	c, err := Dial(b.Context(), Config{URL: s.ClientURL()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	if _, err := c.Setup(b.Context(), SetupConfig{Routes: []string{"acme"}, JobsMaxBytes: -1}); err != nil {
		b.Fatal(err)
	}
	return c
}

// spread runs do(0..n-1) on inFlight goroutines.
func spread(n int, do func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range inFlight {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				do(i)
			}
		})
	}
	wg.Wait()
}

func benchResult(id string) *sms.Result {
	return &sms.Result{
		ID: id, Kind: sms.KindSubmitted, JobID: id, Producer: "shop", Route: "acme", Time: time.Now(), Attempt: 1,
		Parts: []sms.Part{{Number: 1, MessageID: "0123456789", RawMessageID: "0123456789"}}, Bind: "acme-1", LatencyMS: 1.5,
	}
}

func BenchmarkPublish(b *testing.B) {
	c := benchClient(b)
	b.ReportAllocs()
	b.ResetTimer()
	spread(b.N, func(i int) {
		if err := c.Publish(b.Context(), benchResult(strconv.Itoa(i))); err != nil {
			b.Error(err)
		}
	})
}

// BenchmarkConsumePublishAck is the pipeline's use of the adapter with nothing
// in between: a goroutine per job that publishes a result and acks.
func BenchmarkConsumePublishAck(b *testing.B) {
	c := benchClient(b)
	body := []byte(`{"id":"0123456789","to":"447700900123","from":"ACME","text":"` + "Your code is 123456. It is valid for ten minutes. Do not share it." + `"}`)
	spread(b.N, func(i int) {
		if _, err := c.PublishJob(b.Context(), shop, body, strconv.Itoa(i)); err != nil {
			b.Error(err)
		}
	})
	b.ReportAllocs()
	b.ResetTimer()
	held := make(chan struct{}, inFlight)
	var left sync.WaitGroup
	left.Add(b.N)
	var seq atomic.Int64
	go func() {
		_ = c.Consume(b.Context(), shop.Route, shop.Lane, inFlight, func(d dispatcher.Delivery) {
			held <- struct{}{}
			go func() {
				defer func() { <-held }()
				if err := c.Publish(b.Context(), benchResult(strconv.FormatInt(seq.Add(1), 10))); err != nil {
					b.Error(err)
				}
				d.Ack()
				left.Done()
			}()
		})
	}()
	left.Wait()
}
