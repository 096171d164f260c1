package binds

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// echo answers every request with a response of its own, as many in one
// write as there were requests in one read.
func echo(c net.Conn) {
	defer func() { _ = c.Close() }()
	in := make([]byte, 0, 256<<10)
	var out []byte
	for {
		n, err := c.Read(in[len(in):cap(in)])
		if err != nil {
			return
		}
		in = in[:len(in)+n]
		rest := in
		out = out[:0]
		for len(rest) >= 16 && len(rest) >= int(binary.BigEndian.Uint32(rest)) {
			out = binary.BigEndian.AppendUint32(out, 25)
			out = binary.BigEndian.AppendUint32(out, binary.BigEndian.Uint32(rest[4:])|0x80000000)
			out = append(out, 0, 0, 0, 0)
			out = append(out, rest[12:16]...)
			out = append(out, "12345678\x00"...)
			rest = rest[binary.BigEndian.Uint32(rest):]
		}
		in = append(in[:0], rest...)
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// BenchmarkPool measures submits through a pool to an echo peer in the same
// process, over TCP loopback.
func BenchmarkPool(b *testing.B) {
	for _, c := range []struct{ binds, window int }{{1, 100}, {1, 1000}, {4, 100}} {
		b.Run(fmt.Sprintf("binds=%d/window=%d", c.binds, c.window), func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					go echo(conn)
				}
			}()
			p, err := New(Config{Route: "acme", SystemID: "acme", Endpoints: []string{l.Addr().String()}, Binds: c.binds, Window: c.window}, Deps{})
			if err != nil {
				b.Fatal(err)
			}
			bound := make(chan struct{}, c.binds)
			p.Notify(func() {
				select {
				case bound <- struct{}{}:
				default:
				}
			})
			intake, stop := context.WithCancel(context.Background())
			var run sync.WaitGroup
			run.Go(func() { _ = p.Run(intake, context.Background()) })
			for range c.binds {
				<-bound
			}
			b.ReportAllocs()
			b.ResetTimer()
			pump(b, p, c.binds*c.window, b.N)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "submits/s")
			var writes uint64
			for _, s := range p.Snapshot() {
				writes += s.Stats.Writes
			}
			b.ReportMetric(float64(writes)/float64(b.N), "writes/op")
			b.StopTimer()
			stop()
			run.Wait()
		})
	}
}

func pump(b *testing.B, p *Pool, senders, n int) {
	ctx, cancel := context.WithCancel(context.Background()) // as in a worker, all wait with the same
	defer cancel()
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			msgs := parts(1, "447700900123")
			for left.Add(-1) >= 0 {
				var r *Reservation
				for r == nil {
					r, _ = p.TryReserve(1)
				}
				r.Send(ctx, sms.JobRef{JobID: "job"}, msgs)
				for reply, ok := r.Next(ctx); ok; reply, ok = r.Next(ctx) {
					if reply.Err != nil {
						b.Error(reply.Err)
					}
				}
			}
		})
	}
	wg.Wait()
}
