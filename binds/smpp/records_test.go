package smpp

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

var update = flag.Bool("update", false, "rewrite what sessions make of the records in testdata/pdus.hex")

const recordsFile = "testdata/pdus.hex"

// record is one of the file's.
type record struct {
	name   string
	octets []byte
	source []string // its lines but those of the outcome
	want   []string // the outcome
}

// readRecords reads the file, and returns what stands before the first record.
func readRecords(t testing.TB) (head []string, records []record) {
	t.Helper()
	text, err := os.ReadFile(recordsFile)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		if name, ok := strings.CutPrefix(line, "== "); ok {
			records = append(records, record{name: name, source: []string{line}})
			continue
		}
		if len(records) == 0 {
			head = append(head, line)
			continue
		}
		r := &records[len(records)-1]
		switch want, isWant := strings.CutPrefix(line, "> "); {
		case isWant:
			r.want = append(r.want, want)
		case line != "":
			r.source = append(r.source, line)
			if r.octets, err = appendOctets(r.octets, line); err != nil {
				t.Fatalf("%s: %v", r.name, err)
			}
		}
	}
	return head, records
}

// appendOctets reads a line like `00 "ACME" 00 # comment`.
func appendOctets(b []byte, line string) ([]byte, error) {
	for {
		line = strings.TrimLeft(line, " ")
		switch {
		case line == "" || line[0] == '#':
			return b, nil
		case line[0] == '"':
			s, rest, ok := strings.Cut(line[1:], `"`)
			if !ok {
				return b, fmt.Errorf("quote without its end: %s", line)
			}
			b, line = append(b, s...), rest
		default:
			digits, rest, _ := strings.Cut(line, " ")
			octets, err := hex.DecodeString(digits)
			if err != nil {
				return b, err
			}
			b, line = append(b, octets...), rest
		}
	}
}

func writeRecords(t *testing.T, head []string, records []record) {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(strings.TrimRight(strings.Join(head, "\n"), "\n") + "\n")
	for _, r := range records {
		b.WriteString("\n" + strings.Join(r.source, "\n") + "\n")
		for _, w := range r.want {
			b.WriteString("> " + w + "\n")
		}
	}
	if err := os.WriteFile(recordsFile, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestOddPDUsAreTakenAsRecorded(t *testing.T) {
	t.Parallel()
	head, records := readRecords(t)
	for i := range records {
		r := &records[i]
		t.Run(r.name, func(t *testing.T) {
			got := outcome(t, r.octets)
			if *update {
				r.want = got
				return
			}
			if diff := cmp.Diff(r.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if *update {
		writeRecords(t, head, records)
	}
}

func TestPDUsMayBeCutAnywhere(t *testing.T) {
	t.Parallel()
	_, records := readRecords(t)
	for _, r := range records {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			// Beyond the header every third octet does: FuzzFrames reads octet by octet.
			for cut := 1; cut < len(r.octets); cut += 1 + 2*min(1, cut/headerOctets) {
				if diff := cmp.Diff(r.want, outcome(t, r.octets[:cut], r.octets[cut:])); diff != "" {
					t.Fatalf("cut after %d octets (-want +got):\n%s", cut, diff)
				}
			}
		})
	}
}

// outcome gives a session what its SMSC sends, in one write or several, and
// says what came of it, in an order that does not depend on goroutines.
func outcome(t *testing.T, writes ...[]byte) (out []string) {
	all := slices.Concat(writes...)
	command, sequence := binary.BigEndian.Uint32(all[4:]), binary.BigEndian.Uint32(all[12:])
	answersBind := command == cmdBindTransceiver|responseBit || command == cmdGenericNack && sequence == 1
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer func() { _ = there.Close() }()
		peer := newRawPeerOf(t, there, 64)
		if answersBind || string(all[:4]) == "HTTP" {
			out = bindOutcome(t, here, peer, writes)
			return
		}
		out = sessionOutcome(t, here, peer, command, sequence, writes)
	})
	return out
}

func bindOutcome(t *testing.T, here net.Conn, peer *rawPeer, writes [][]byte) []string {
	go func() {
		peer.want(cmdBindTransceiver)
		for _, w := range writes {
			_, _ = peer.conn.Write(w) // it may have been closed
		}
	}()
	s, err := Bind(t.Context(), here, Config{})
	if err != nil {
		var e *sms.Error
		_ = errors.As(err, &e)
		return []string{fmt.Sprintf("bind: %s, status 0x%08X: %v", e.Code, e.Status, err)}
	}
	_ = here.Close()
	p := s.Peer()
	return []string{fmt.Sprintf("bound: system_id %q, interface_version 0x%02X, tlvs%s", p.SystemID, p.InterfaceVersion, tlvList(p.TLVs))}
}

func sessionOutcome(t *testing.T, here net.Conn, peer *rawPeer, command, sequence uint32, writes [][]byte) (out []string) {
	var mu sync.Mutex
	var messages []string // guarded by mu
	cfg := Config{EnquireLink: -1, ResponseTimeout: time.Hour, Handler: Each(func(_ context.Context, in *Inbound) uint32 {
		mu.Lock()
		defer mu.Unlock()
		messages = append(messages, describeInbound(in))
		return StatusOK
	})}
	r := start(t, cfg, here, peer, func(s *Session) { s.sequence = sequence - 1 })
	done := make(chan *Call, 1)
	open := command == cmdSubmitSMResp || command == cmdGenericNack && sequence != 0
	if open {
		r.submit(t, sms.JobRef{}, done)
		peer.want(cmdSubmitSM)
	}
	for _, w := range writes {
		_, _ = peer.conn.Write(w) // it may have been closed
		synctest.Wait()
	}
	if open {
		select {
		case c := <-done:
			out = append(out, fmt.Sprintf("call: status 0x%08X, message_id %q, error %v", c.Status, c.MessageID, c.Err))
		default:
			out = append(out, "call: open")
		}
	}
	slices.Sort(messages)
	out = append(out, messages...)
	out = append(out, answers(peer)...)
	for why, n := range r.Stats().Refusals {
		if n > 0 {
			out = append(out, fmt.Sprintf("refused: %s, %d", Refusal(why), n))
		}
	}
	select {
	case <-r.done:
		return append(out, fmt.Sprintf("session: %v", r.err))
	default:
		return append(out, "session: up")
	}
}

// answers returns what has come from the session, sorted.
func answers(peer *rawPeer) (out []string) {
	for {
		select {
		case p, ok := <-peer.in:
			if ok {
				out = append(out, fmt.Sprintf("answer: %x", p.bytes()))
				continue
			}
		default:
		}
		slices.Sort(out)
		return out
	}
}

func describeInbound(in *Inbound) string {
	m := &in.Message
	return fmt.Sprintf("message: command 0x%X, sequence 0x%08X, from %d/%d/%q, to %d/%d/%q, esm_class 0x%02X, data_coding 0x%02X, short_message %q, tlvs%s",
		in.Command, in.Sequence, m.Source.TON, m.Source.NPI, m.Source.Addr, m.Destination.TON, m.Destination.NPI, m.Destination.Addr,
		m.ESMClass, m.DataCoding, m.ShortMessage, tlvList(m.TLVs))
}

func tlvList(tlvs []sms.TLV) string {
	if len(tlvs) == 0 {
		return " none"
	}
	var b strings.Builder
	for _, v := range tlvs {
		fmt.Fprintf(&b, " %04x=%x", v.Tag, v.Value)
	}
	return b.String()
}
