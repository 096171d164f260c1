package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// What is personal in the jobs and messages of the test below. Nothing else in
// it contains any of it.
var (
	personalNumbers = []string{"447700900123", "447700900456", "447700900404", "447700900503", "447700900789"}
	personalTexts   = []string{"zebra crossing at noon", "žluťoučký kůň 你好", "quagga reply", "okapi quoted", "wombat payload"}
)

// disguises are the forms in which a number or text may come to stand somewhere.
func disguises(s string) map[string][]byte {
	units := utf16.Encode([]rune(s))
	be, le := make([]byte, 0, 2*len(units)), make([]byte, 0, 2*len(units))
	for _, u := range units {
		be, le = append(be, byte(u>>8), byte(u)), append(le, byte(u), byte(u>>8))
	}
	escaped, _ := json.Marshal(s)
	forms := map[string][]byte{
		"plain": []byte(s), "quoted": escaped[1 : len(escaped)-1], "ASCII": []byte(strings.Trim(fmt.Sprintf("%+q", s), `"`)),
		"URL": []byte(url.QueryEscape(s)), "path": []byte(url.PathEscape(s)), "UTF-16": be, "UTF-16, other order": le,
	}
	for _, octets := range [][]byte{[]byte(s), be, le} {
		n := fmt.Sprint(len(forms))
		forms["hex "+n] = []byte(hex.EncodeToString(octets))
		forms["HEX "+n] = []byte(strings.ToUpper(hex.EncodeToString(octets)))
		forms["hex, spaced "+n] = []byte(strings.Trim(fmt.Sprintf("% x", octets), " "))
		for at := range 3 { // of a longer string, at any place in it
			code := base64.StdEncoding.EncodeToString(append(make([]byte, at), octets...))
			forms[fmt.Sprintf("base64 %s %d", n, at)] = []byte(code[(at*8+5)/6 : len(code)-4])
		}
	}
	return forms
}

// secrets are all forms of all that is personal.
func secrets() map[string][]byte {
	all := make(map[string][]byte)
	for _, s := range slices.Concat(personalNumbers, personalTexts) {
		for name, form := range disguises(s) {
			if len(form) > 5 {
				all[s+" as "+name] = form
			}
		}
	}
	for _, n := range personalNumbers {
		all[n+" without its country"] = []byte(n[2:])
	}
	return all
}

// nothingPersonal fails the test for what stands in an output.
func nothingPersonal(t *testing.T, where string, output []byte) {
	t.Helper()
	if len(output) < 20 {
		t.Errorf("%s has nothing in it: %q", where, output)
	}
	for name, form := range secrets() {
		if i := bytes.Index(output, form); i >= 0 {
			t.Errorf("%s shows %s: ...%s...", where, name, output[max(0, i-60):min(len(output), i+60)])
			return
		}
	}
}

func TestTheSearchForWhatIsPersonalFindsIt(t *testing.T) {
	t.Parallel()
	const s = "447700900123"
	found := func(output string) bool {
		return slices.ContainsFunc(slices.Collect(func(yield func([]byte) bool) {
			for _, form := range secrets() {
				if !yield(form) {
					return
				}
			}
		}), func(form []byte) bool { return strings.Contains(output, string(form)) })
	}
	for _, output := range []string{
		"to=+447700900123 ", "to=%2B447700900123", "07700900123", hex.EncodeToString([]byte(s)), "msg=" + strings.ToUpper(hex.EncodeToString([]byte("x"+s))),
		base64.StdEncoding.EncodeToString([]byte(`{"to":"` + s + `"}`)), base64.StdEncoding.EncodeToString([]byte(`{"to": "` + s + `"}`)),
		base64.StdEncoding.EncodeToString([]byte(`{"to":  "` + s + `"}`)), "text=zebra+crossing+at+noon", `"\u017elu\u0165ou\u010dk\u00fd k\u016f\u0148 \u4f60\u597d"`,
		"017e006c00750165006f0075010d006b00fd0020006b016f0148 00204f60597d"[:52] + "00204f60597d", "\x00z\x00e\x00b\x00r\x00a\x00 \x00c\x00r\x00o\x00s\x00s\x00i\x00n\x00g\x00 \x00a\x00t\x00 \x00n\x00o\x00o\x00n",
	} {
		if !found(output) {
			t.Errorf("it is not found in %q", output)
		}
	}
	for _, output := range []string{"447*******23", "no number at all", "job j447", hex.EncodeToString([]byte("something else")), "2026-11-23T09:00:12.447700Z"} {
		if found(output) {
			t.Errorf("something is found in %q", output)
		}
	}
}

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
	t.Parallel()
	// Each in turn: with the mask alone, and with a hash beside it.
	for name, key := range map[string]string{"masked": "", "hashed": "0123456789abcdef0123456789abcdef"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			privateWorker(t, key)
		})
	}
}

func privateWorker(t *testing.T, key string) {
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
		`{"id":"a3","to":"447700900404","from":"447700900789","text":"zebra crossing at noon"}`, // refused for good
		`{"id":"a4","to":"447700900503","text":"zebra crossing at noon"}`,                       // tried again, then buried
		`{"id":"a5","to":"447700900123x","text":"zebra crossing at noon"}`,                      // wrong
		`{"id":"a6","to":"447700900123","text":"zebra crossing at noon","priorty":1}`,           // has a field that is none
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
		nothingPersonal(t, name, output)
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
