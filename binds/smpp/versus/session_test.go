package versus

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/linxGnu/gosmpp"
	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

const window = 100

// BenchmarkWindow100 is one submit_sm with its response, of which 100 are open
// at a time, over TCP to a peer in the same process: one that does next to
// nothing, so that the sessions are compared, and the simulator, whose own
// cost is in the figures of all. Each session is used in the way that its
// documentation shows.
func BenchmarkWindow100(b *testing.B) {
	for _, peer := range []struct {
		name  string
		start func(*testing.B) (addr string)
	}{{"echo", echo}, {"simulator", simulator}} {
		for _, client := range []struct {
			name string
			run  func(b *testing.B, addr string)
		}{{"shortwire", shortwire}, {"gosmpp", unwindowed}, {"gosmpp windowed", windowed}} {
			b.Run("peer="+peer.name+"/session="+client.name, func(b *testing.B) {
				addr := peer.start(b)
				b.ReportAllocs()
				client.run(b, addr)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "submits/s")
			})
		}
	}
}

func simulator(b *testing.B) (addr string) {
	smsc := smsctest.New(smsctest.Config{Keep: -1, Receipts: smsctest.ReceiptConfig{Off: true}})
	b.Cleanup(func() { _ = smsc.Close() })
	a, err := smsc.Listen("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	return a.String()
}

// shortwire has one goroutine for each open message, as a worker has.
func shortwire(b *testing.B, addr string) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	s, err := smpp.Bind(b.Context(), conn, smpp.Config{SystemID: "acme", Window: window})
	if err != nil {
		b.Fatal(err)
	}
	var run, senders sync.WaitGroup
	run.Go(func() { _ = s.Run(context.Background()) })
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	for range window {
		senders.Go(func() {
			burst := smpp.Burst{Done: make(chan *smpp.Call, 1)}
			msgs := []*sms.Message{{
				Source:             sms.Address{TON: 5, Addr: "ACME"},
				Destination:        sms.Address{TON: 1, NPI: 1, Addr: "447700900123"},
				RegisteredDelivery: 1,
				ShortMessage:       []byte("Your code is 1234"),
				Part:               1, PartsTotal: 1,
			}}
			for left.Add(-1) >= 0 {
				if err := s.Acquire(context.Background()); err != nil {
					b.Error(err)
					return
				}
				if err := s.Go(&burst, msgs); err != nil {
					b.Error(err)
					return
				}
				if c := <-burst.Done; c.Err != nil || c.MessageID == "" {
					b.Errorf("%+v", c)
					return
				}
				burst = smpp.Burst{Done: burst.Done}
			}
		})
	}
	senders.Wait()
	b.StopTimer()
	_ = s.Unbind(context.Background())
	run.Wait()
}

// unwindowed is the README's session: no window of its own, so that what is
// open is counted here.
func unwindowed(b *testing.B, addr string) {
	open := make(chan struct{}, window)
	s := session(b, addr, gosmpp.Settings{
		OnPDU: func(p pdu.PDU, _ bool) {
			if _, ok := p.(*pdu.SubmitSMResp); ok {
				<-open
			}
		},
	})
	b.ResetTimer()
	for range b.N {
		open <- struct{}{}
		submit(b, s)
	}
	fill(open)
	b.StopTimer()
	_ = s.Close()
}

// windowed is the session with its window, as the example beside the README
// has it. A response that comes before its request was noted leaves a place of
// the window taken for good, and a full window drops messages; so it gets the
// largest window there is, what is open is counted here too, and before the
// places that are lost could matter there is a new session, off the clock.
func windowed(b *testing.B, addr string) {
	const size = 255
	var lost, total atomic.Int64
	open := make(chan struct{}, window)
	settings := gosmpp.Settings{
		WindowedRequestTracking: &gosmpp.WindowedRequestTracking{
			OnExpectedPduResponse:   func(gosmpp.Response) { <-open },
			OnUnexpectedPduResponse: func(pdu.PDU) { lost.Add(1); <-open },
			OnReceivedPduRequest:    func(pdu.PDU) (pdu.PDU, bool) { return nil, false },
			OnExpiredPduRequest:     func(pdu.PDU) bool { return false },
			OnClosePduRequest:       func(pdu.PDU) {},
			PduExpireTimeOut:        30 * time.Second,
			ExpireCheckTimer:        10 * time.Second,
			MaxWindowSize:           size,
			StoreAccessTimeOut:      1000, // it multiplies by milliseconds
		},
	}
	s := session(b, addr, settings)
	b.ResetTimer()
	for range b.N {
		open <- struct{}{}
		submit(b, s)
		if lost.Load() > size-window-20 {
			fill(open)
			b.StopTimer()
			_ = s.Close()
			total.Add(lost.Swap(0))
			for range window {
				<-open
			}
			s = session(b, addr, settings)
			b.StartTimer()
		}
	}
	fill(open)
	b.StopTimer()
	_ = s.Close()
	b.ReportMetric(float64(total.Load()+lost.Load())/float64(b.N), "leaked/op")
}

func session(b *testing.B, addr string, settings gosmpp.Settings) *gosmpp.Session {
	settings.EnquireLink = 5 * time.Second
	settings.ReadTimeout = 10 * time.Second
	settings.OnSubmitError = func(_ pdu.PDU, err error) { b.Error("submit:", err) }
	settings.OnReceivingError = func(err error) { b.Log("receive:", err) }
	settings.OnRebindingError = func(err error) { b.Error("rebind:", err) }
	settings.OnClosed = func(gosmpp.State) {}
	auth := gosmpp.Auth{SMSC: addr, SystemID: "acme"}
	s, err := gosmpp.NewSession(gosmpp.TRXConnector(gosmpp.NonTLSDialer, auth), settings, 5*time.Second)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// submit sends the message of the README's example.
func submit(b *testing.B, s *gosmpp.Session) {
	src := pdu.NewAddress()
	src.SetTon(5)
	src.SetNpi(0)
	_ = src.SetAddress("ACME")
	dst := pdu.NewAddress()
	dst.SetTon(1)
	dst.SetNpi(1)
	_ = dst.SetAddress("447700900123")
	m := pdu.NewSubmitSM().(*pdu.SubmitSM)
	m.SourceAddr, m.DestAddr = src, dst
	_ = m.Message.SetMessageWithEncoding("Your code is 1234", data.GSM7BIT)
	m.RegisteredDelivery = 1
	if err := s.Transceiver().Submit(m); err != nil {
		b.Error(err)
	}
}

// fill waits until nothing is open.
func fill(open chan<- struct{}) {
	for range window {
		open <- struct{}{}
	}
}
