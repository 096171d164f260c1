package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"smscsim": main})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata"})
}

// running is smscsim in this process, ended by its context in place of a
// signal.
type running struct {
	smpp, admin string
	stop        func() string // returns what it printed after the first line
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	r, w := io.Pipe()
	cmd := newCommand(w)
	cmd.SetArgs(append([]string{"--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...))
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	done := make(chan error, 1)
	go func() {
		err := cmd.ExecuteContext(ctx)
		_ = w.Close()
		done <- err
	}()
	out := bufio.NewReader(r)
	line, err := out.ReadString('\n')
	m := regexp.MustCompile(`^smscsim: listening on (\S+), admin on (\S+)\n$`).FindStringSubmatch(line)
	if err != nil || m == nil {
		t.Fatalf("first line %q: %v", line, err)
	}
	return &running{smpp: m[1], admin: "http://" + m[2], stop: func() string {
		cancel()
		rest, _ := io.ReadAll(out)
		if err := <-done; err != nil {
			t.Errorf("ended with %v", err)
		}
		return string(rest)
	}}
}

func (r *running) call(t *testing.T, method, path string, into any) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.admin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if into != nil {
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	return resp.StatusCode
}

// bound is a raw bind as a transceiver.
func (r *running) bound(t *testing.T) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", r.smpp)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	body := []byte("acme\x00secret\x00\x00\x34\x00\x00\x00")
	if p := exchange(t, nc, smsctest.PDU{CommandID: smsctest.BindTransceiver, Sequence: 1, Body: body}); p.Status != 0 {
		t.Fatalf("bind: %+v", p)
	}
	return nc
}

func exchange(t *testing.T, nc net.Conn, p smsctest.PDU) smsctest.PDU {
	t.Helper()
	if _, err := nc.Write(p.Append(nil)); err != nil {
		t.Fatal(err)
	}
	got, err := smsctest.ReadPDU(nc)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func submit(seq uint32, to string) smsctest.PDU {
	b := append([]byte("\x00\x05\x00ACME\x00\x01\x01"), to...)
	b = append(b, "\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x05hello"...)
	return smsctest.PDU{CommandID: smsctest.SubmitSM, Sequence: seq, Body: b}
}

func TestProgramServesRecordsAndSumsUp(t *testing.T) {
	t.Parallel()
	record := filepath.Join(t.TempDir(), "record.jsonl")
	r := start(t, "--system-id", "acme", "--password", "secret", "--magic", "--record", record, "--receipt-delay", "1ms")
	nc := r.bound(t)
	if p := exchange(t, nc, submit(2, "447700900404")); p.Status != smsctest.RINVDSTADR {
		t.Errorf("magic number answered with %+v", p)
	}
	if p := exchange(t, nc, submit(3, "447700900123")); p.Status != 0 {
		t.Errorf("submit answered with %+v", p)
	}
	p, err := smsctest.ReadPDU(nc)
	if err != nil || p.CommandID != smsctest.DeliverSM {
		t.Fatalf("wanted a receipt: %+v, %v", p, err)
	}
	ack := smsctest.PDU{CommandID: smsctest.DeliverSMResp, Sequence: p.Sequence, Body: []byte{0}}
	if _, err := nc.Write(ack.Append(nil)); err != nil {
		t.Fatal(err)
	}
	if p := exchange(t, nc, smsctest.PDU{CommandID: smsctest.Unbind, Sequence: 4}); p.CommandID != smsctest.UnbindResp {
		t.Errorf("unbind answered with %+v", p)
	}
	var st smsctest.Stats
	r.call(t, "GET", "/stats", &st)
	if st.Submits != 2 || st.Accepted != 1 || st.Refused["ESME_RINVDSTADR"] != 1 || st.Receipts.Acked != 1 || st.Unbinds != 1 {
		t.Errorf("%+v", st)
	}
	var binds []smsctest.Bind
	r.call(t, "GET", "/binds", &binds)
	if len(binds) != 1 || !binds[0].Unbound || binds[0].Submits != 2 {
		t.Errorf("%+v", binds)
	}
	out := r.stop()
	for _, want := range []string{"2 submit_sm: 1 accepted", "refused with ESME_RINVDSTADR: 1", "1 receipts: 1 sent, 1 acknowledged", "1 binds: 1 unbound, 0 lost"} {
		if !strings.Contains(out, want) {
			t.Errorf("summary lacks %q:\n%s", want, out)
		}
	}
	b, err := os.ReadFile(record)
	if err != nil || strings.Count(string(b), `"ev":"submit"`) != 2 || strings.Count(string(b), `"ev":"deliver"`) != 1 {
		t.Errorf("%v\n%s", err, b)
	}
}

func TestAdminHurtsConnections(t *testing.T) {
	t.Parallel()
	r := start(t, "--receipts", "off")
	t.Run("cut drops them", func(t *testing.T) {
		nc := r.bound(t)
		var got map[string]int
		if code := r.call(t, "POST", "/cut", &got); code != http.StatusOK || got["connections"] != 1 {
			t.Errorf("%d %v", code, got)
		}
		if p, err := smsctest.ReadPDU(nc); err == nil {
			t.Errorf("still there: %+v", p)
		}
	})
	t.Run("stall holds them for as long as it says", func(t *testing.T) {
		nc := r.bound(t)
		begin := time.Now()
		if code := r.call(t, "POST", "/stall?for=300ms", nil); code != http.StatusOK {
			t.Errorf("status %d", code)
		}
		exchange(t, nc, smsctest.PDU{CommandID: smsctest.EnquireLink, Sequence: 2})
		if d := time.Since(begin); d < 300*time.Millisecond {
			t.Errorf("answered after %v", d)
		}
	})
	t.Run("unbind says goodbye", func(t *testing.T) {
		nc := r.bound(t)
		r.call(t, "POST", "/unbind", nil)
		if p, err := smsctest.ReadPDU(nc); err != nil || p.CommandID != smsctest.Unbind {
			t.Errorf("%+v %v", p, err)
		}
	})
	t.Run("mo reaches a bind", func(t *testing.T) {
		nc := r.bound(t)
		r.call(t, "POST", "/mo?system_id=acme&from=447700900123&to=447700900001&text=STOP", nil)
		if p, err := smsctest.ReadPDU(nc); err != nil || !strings.Contains(string(p.Body), "STOP") {
			t.Errorf("%+v %v", p, err)
		}
	})
	t.Run("what it does not understand it says", func(t *testing.T) {
		for path, want := range map[string]int{"/stall?for=x": 400, "/refuse?for=-1s": 400, "/mo": 400, "/nothing": 404} {
			if code := r.call(t, "POST", path, nil); code != want {
				t.Errorf("POST %s: %d, want %d", path, code, want)
			}
		}
		if code := r.call(t, "GET", "/cut", nil); code != http.StatusMethodNotAllowed {
			t.Errorf("GET /cut: %d", code)
		}
	})
	r.stop()
}

func TestAPortThatIsTakenIsNamedWithItsFlag(t *testing.T) {
	t.Parallel()
	r := start(t)
	taken := strings.TrimPrefix(r.admin, "http://")
	for want, args := range map[string][]string{
		"--listen: ": {"--listen", taken},
		"--admin: ":  {"--listen", "127.0.0.1:0", "--admin", taken},
	} {
		var stderr strings.Builder
		code := run(args, io.Discard, &stderr)
		if code != 1 || !strings.Contains(stderr.String(), want) || !strings.Contains(stderr.String(), "address already in use; choose another address") {
			t.Errorf("%v: exit code %d, %s", args, code, &stderr)
		}
	}
}
