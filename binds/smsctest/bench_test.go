package smsctest_test

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

// BenchmarkSubmit is the cost of one submit_sm over loopback TCP, with a client
// that does next to nothing: it writes frames made beforehand and throws away
// what comes back. ns/op is wall time; the two share the cores.
func BenchmarkSubmit(b *testing.B) {
	for _, bm := range []struct {
		name string
		cfg  smsctest.Config
	}{
		{"at once", smsctest.Config{Keep: -1}},
		{"after 5 ms", smsctest.Config{Keep: -1, Latency: 5 * time.Millisecond}},
		{"with record", smsctest.Config{Keep: 100000}},
		{"with hook", smsctest.Config{Keep: -1, OnSubmit: func(*smsctest.Submit) smsctest.Action { return smsctest.Action{} }}},
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
	go func() { _, _ = io.Copy(io.Discard, nc) }()
	const perWrite = 200
	var frames []byte
	for i := range perWrite {
		m := message{to: "447700900123", text: fmt.Sprintf("message %d of a text as long as they usually are, or about", i)}
		frames = smsctest.PDU{CommandID: smsctest.SubmitSM, Sequence: uint32(i + 2), Body: m.body()}.Append(frames)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for sent := 0; sent < b.N; sent += perWrite {
		if _, err := nc.Write(frames); err != nil {
			b.Fatal(err)
		}
	}
	want := uint64((b.N + perWrite - 1) / perWrite * perWrite)
	if err := s.WaitFor(b.Context(), func(st smsctest.Stats) bool { return st.Submits == want }); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "submits/s")
}
