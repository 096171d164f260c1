package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// What is personal in the jobs and messages of the test below. Nothing else in
// it contains any of it.
var personal = apptest.PrivateForms(
	[]string{"447700900123", "447700900456", "447700900404", "447700900503", "447700900789"},
	[]string{"zebra crossing at noon", "žluťoučký kůň 你好", "quagga reply", "okapi quoted", "wombat payload"})

// tracesOf collects a route's trace until stop is called.
func tracesOf(t *testing.T, w *app.App) (stop func() []byte) {
	t.Helper()
	var mu sync.Mutex
	var all bytes.Buffer // guarded by mu
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- app.Trace(ctx, app.AdminAt{URL: w.AdminURL(ctx)}, app.TraceOptions{Route: "acme", For: time.Hour, Max: 100_000, By: "test"}, func(line []byte) error {
			mu.Lock()
			defer mu.Unlock()
			all.Write(line)
			return nil
		})
	}()
	apptest.Until(t, "the trace has begun", func() bool { return w.Status().Routes[0].Traced })
	return func() []byte {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("trace: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		return all.Bytes()
	}
}

func TestNoNumberAndNoTextComesOutOfAWorker(t *testing.T) {
	exported := overHTTP(t)
	t.Run("workers", func(t *testing.T) {
		// With the mask alone, and with a hash beside it.
		for name, key := range map[string]string{"masked": "", "hashed": "0123456789abcdef0123456789abcdef"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				privateWorker(t, key)
			})
		}
	})
	exported.await("process sms.jobs.acme.normal.shop", 2*13)
	exported.await("deliver_sm acme", 2*3)
	personal.Absent(t, "what is exported", exported.text())
}

// privateWorker searches all that comes out of a worker with a key for hashes.
func privateWorker(t *testing.T, key string) {
	t.Helper()
	r := newRig(t, smsctest.Config{
		SystemID: "acme", Password: "secret", Latency: time.Millisecond, Receipts: smsctest.ReceiptConfig{Delay: 5 * time.Millisecond},
		OnSubmit: func(m *smsctest.Submit) (a smsctest.Action) {
			switch m.Destination {
			case "447700900404":
				a.Status = smsctest.RINVDSTADR
			case "447700900503":
				a.Status = smsctest.RSYSERR
			}
			return a
		},
	}, "    receipt: all\n    inbound: {join_timeout: 1s}\n    parking_time: 1s\n")
	cfg := r.Config("w1")
	cfg.Privacy.HashKey = app.Secret(key)
	var log apptest.Log
	w := runApp(t, cfg, app.Deps{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))})
	stop := tracesOf(t, w)

	r.Publish(
		`{"id":"a1","to":"+447700900123","text":"zebra crossing at noon","meta":{"who":"447700900123","what":"zebra crossing at noon"}}`,
		`{"id":"a2","to":"447700900456","text":"žluťoučký kůň 你好"}`,
		`{"id":"a3","to":"447700900404","from":"447700900789","text":"zebra crossing at noon","meta":{"who":"447700900123"}}`, // refused for good
		`{"id":"a4","to":"447700900503","text":"zebra crossing at noon"}`,                                                     // tried again, then buried
		`{"id":"a5","to":"447700900123x","text":"zebra crossing at noon"}`,                                                    // wrong
		`{"id":"a6","to":"447700900123","text":"zebra crossing at noon","priorty":1}`,                                         // has a field that is none
		`{"id":"a7","to":"447700900123","text":7}`,
		`{"to":"447700900123","text":"zebra crossing at noon"}`,
		`not JSON: 447700900123 zebra crossing at noon`,
		`{"id":"447700900123 zebra","to":"447700900123","text":"zebra crossing at noon"}`,
		`{"id":"a8","to":"447700900456","data":"`+base64.StdEncoding.EncodeToString([]byte("wombat payload"))+`","data_coding":4,"tlvs":[{"tag":5120,"value":"`+hex.EncodeToString([]byte("447700900789"))+`"}]}`,
		`{"id":"a9","to":"447700900123","text":"`+strings.Repeat("zebra crossing at noon ", 12)+`"}`,
		`{"id":"a10","to":"447700900123","text":"zebra crossing at noon","expires_at":"2001-01-01T00:00:00Z"}`,
	)
	for i, octets := range []string{
		"quagga reply", "\x05\x00\x03\x07\x02\x01quagga reply", "\x05\x00\x03\x08\x02\x01quagga reply", "\x05\x00\x03\x08\x02\x02quagga reply",
	} {
		mo := smsctest.MO{SystemID: "acme", Source: "447700900456", Destination: "447700900789", ShortMessage: []byte(octets)}
		if i > 0 {
			mo.ESMClass = 0x40
		}
		r.smsc.DeliverMO(mo)
	}
	// A receipt of nobody's, which quotes a text and a number, and one that cannot be read.
	for _, octets := range []string{
		"id:nobodys sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:okapi quoted 447700900123",
		"okapi quoted id:77 447700900456",
	} {
		r.smsc.DeliverMO(smsctest.MO{SystemID: "acme", Source: "447700900456", Destination: "447700900789", ESMClass: 0x04, ShortMessage: []byte(octets)})
	}
	// And a PDU that is none: a deliver_sm whose fields run on.
	for _, b := range r.smsc.Binds() {
		body := "CMT\x01\x01447700900123\x01\x01okapi quoted"
		pdu := append([]byte{0, 0, 0, byte(16 + len(body)), 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 99}, body...)
		if err := r.smsc.Send(b.ID, pdu); err != nil {
			t.Fatal(err)
		}
	}
	r.Await("the outcomes", func(all []*sms.Result) bool { return len(r.Outcomes()) >= 10 })
	apptest.Until(t, "messages and receipts are through", func() bool {
		s := w.Status().Routes[0]
		return s.Inbound.Published >= 3 && s.Receipts.Unmatched >= 1 && s.Receipts.Matched >= 3 && s.DeadLetters >= 6
	})

	outputs := map[string][]byte{"the trace": stop()}
	for _, path := range []string{"/", "/status", "/fleet", "/metrics", "/readyz?to=447700900123", "/pause?route=447700900123"} {
		resp, err := http.Get(w.AdminURL(t.Context()) + path)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		if _, err := bufio.NewReader(resp.Body).WriteTo(&body); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if !strings.ContainsRune(path, '?') {
			outputs[path] = body.Bytes()
		}
	}
	outputs["the log"] = []byte(log.String())
	outputs["the log of the rig"] = []byte("worker, and what follows: " + fmt.Sprint(w.Status()))
	for name, output := range outputs {
		personal.Absent(t, name, output)
	}
	for _, want := range []string{`"submit_sm"`, `"deliver_sm"`, "447*******23"} {
		if !bytes.Contains(outputs["the trace"], []byte(want)) {
			t.Errorf("the trace has no %s: %.2000s", want, outputs["the trace"])
		}
	}
	hash := "447*******04#" + sms.HashNumber([]byte(key), "+447700900404")
	for _, name := range []string{"the trace", "/status"} {
		if got := bytes.Contains(outputs[name], []byte(hash)); got != (key != "") {
			t.Errorf("%s shows the hash: %v, with key %q", name, got, key)
		}
	}
}
