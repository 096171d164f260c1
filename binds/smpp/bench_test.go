package smpp

import (
	"fmt"
	"net"
	"testing"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

// BenchmarkSession is one submit with its response through one session, as
// many of them open as the window allows. The echo peer allocates nothing, so
// that B/op and allocs/op are the session's own; the simulator's are in the
// figures of the other two, and it takes more than half of their time.
func BenchmarkSession(b *testing.B) {
	for _, peer := range []struct {
		name string
		dial func(testing.TB) net.Conn
	}{
		{"echo", dialPeer},
		{"simulator over TCP", func(t testing.TB) net.Conn { return dialTCP(t, listen(t)) }},
		{"simulator over pipe", dialPipe},
	} {
		for _, window := range []int{10, 100, 1000} {
			b.Run(fmt.Sprintf("%s/window=%d", peer.name, window), func(b *testing.B) {
				s := serve(b, peer.dial(b), Config{Window: window})
				b.ReportAllocs()
				b.ResetTimer()
				pump(b, s, b.N)
				b.ReportMetric(float64(s.Stats().Writes)/float64(b.N), "writes/op")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "submits/s")
			})
		}
	}
}

func simulator(t testing.TB) *smsctest.SMSC {
	s := smsctest.New(smsctest.Config{Keep: -1, Receipts: smsctest.ReceiptConfig{Off: true}})
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// listen starts a simulator and returns its address.
func listen(t testing.TB) string {
	addr, err := simulator(t).Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return addr.String()
}

func dialTCP(t testing.TB, addr string) net.Conn {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func dialPeer(t testing.TB) net.Conn { return dialTCP(t, echoPeer(t)) }

func dialPipe(t testing.TB) net.Conn {
	conn, err := simulator(t).Dial()
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
