package smsctest_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

// BenchmarkSubmit is the cost of one submit_sm over loopback TCP, with a client
// that does next to nothing: it writes frames made beforehand and acknowledges
// receipts. ns/op is wall time; the two share the cores.
func BenchmarkSubmit(b *testing.B) {
	off := smsctest.ReceiptConfig{Off: true}
	for _, bm := range []struct {
		name string
		cfg  smsctest.Config
	}{
		{"at once", smsctest.Config{Keep: -1, Receipts: off}},
		{"after 5 ms", smsctest.Config{Keep: -1, Receipts: off, Latency: 5 * time.Millisecond}},
		{"with receipts", smsctest.Config{Keep: -1, Receipts: smsctest.ReceiptConfig{Delay: 10 * time.Millisecond}}},
		{"with record", smsctest.Config{Keep: 100000, Receipts: off}},
		{"with hook", smsctest.Config{Keep: -1, Receipts: off, OnSubmit: func(*smsctest.Submit) smsctest.Action { return smsctest.Action{} }}},
	} {
		b.Run(bm.name, func(b *testing.B) { benchmarkSubmit(b, bm.cfg) })
	}
}

func benchmarkSubmit(b *testing.B, cfg smsctest.Config) {
	s := smsctest.New(cfg)
	defer func() { _ = s.Close() }()
	addr, err := s.Listen("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	nc, err := net.Dial("tcp", addr.String())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	if _, err := nc.Write(smsctest.PDU{CommandID: smsctest.BindTransceiver, Sequence: 1, Body: bindBody("acme", "")}.Append(nil)); err != nil {
		b.Fatal(err)
	}
	// Without a window the two would end up waiting for each other to read.
	window := make(chan struct{}, 25) // writes under way; the loop writes, acknowledge reads
	go acknowledge(nc, window)
	var frames []byte
	for i := range perWrite {
		m := message{to: "447700900123", text: fmt.Sprintf("message %d of a text as long as they usually are, or about", i), registered: 1}
		frames = smsctest.PDU{CommandID: smsctest.SubmitSM, Sequence: uint32(i + 2), Body: m.body()}.Append(frames)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for sent := 0; sent < b.N; sent += perWrite {
		window <- struct{}{}
		if _, err := nc.Write(frames); err != nil {
			b.Fatal(err)
		}
	}
	want := uint64((b.N + perWrite - 1) / perWrite * perWrite)
	if err := s.WaitFor(b.Context(), func(st smsctest.Stats) bool { return st.Submits == want && st.Receipts.Pending() == 0 }); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "submits/s")
}

const perWrite = 200

// acknowledge answers every deliver_sm in bursts and counts responses.
func acknowledge(nc net.Conn, window <-chan struct{}) {
	buf, out, n, responses := make([]byte, 256<<10), []byte(nil), 0, 0
	for {
		got, err := nc.Read(buf[n:])
		if err != nil {
			return
		}
		n += got
		used := 0
		out = out[:0]
		for n-used >= 16 {
			size := int(binary.BigEndian.Uint32(buf[used:]))
			if n-used < size {
				break
			}
			switch binary.BigEndian.Uint32(buf[used+4:]) {
			case smsctest.SubmitSMResp:
				if responses++; responses%perWrite == 0 {
					<-window
				}
			case smsctest.DeliverSM:
				seq := binary.BigEndian.Uint32(buf[used+12:])
				out = smsctest.PDU{CommandID: smsctest.DeliverSMResp, Sequence: seq, Body: []byte{0}}.Append(out)
			}
			used += size
		}
		n = copy(buf, buf[used:n])
		if len(out) > 0 {
			if _, err := nc.Write(out); err != nil {
				return
			}
		}
	}
}
