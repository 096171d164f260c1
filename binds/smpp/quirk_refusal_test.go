package smpp_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

// junk is a PDU for each reason that leaves the session up.
func junk(from uint32) map[smpp.Refusal]smsctest.PDU {
	return map[smpp.Refusal]smsctest.PDU{
		smpp.RefusedTruncated: {CommandID: smsctest.DeliverSM, Sequence: from + 1, Body: []byte("\x00\x01\x01447700900124")},
		smpp.RefusedCommand:   {CommandID: 0x110, Sequence: from + 2, Body: []byte("447700900124 what is this")},
		smpp.RefusedResponse:  {CommandID: smsctest.SubmitSMResp, Sequence: from + 3, Body: []byte("7E5\x00")},
		smpp.RefusedNack:      {CommandID: smsctest.GenericNack, Status: smsctest.RINVCMDID, Sequence: from + 4},
	}
}

func TestMalformedPDUsAreCountedByReasonAndCostNothingElse(t *testing.T) {
	const rounds = 25
	var log bytes.Buffer
	cfg := smpp.Config{Window: 10, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	bubble(t, smsctest.Config{OnSubmit: hold}, cfg, func(t *testing.T, e *esme) {
		for round := range uint32(rounds) {
			done := e.submit(t, "447700900001", "447700900002", "447700900003")
			synctest.Wait()
			for _, p := range junk(0x40000000 + round*16) {
				e.sends(t, p.Append(nil))
			}
			synctest.Wait()
			e.smsc.ReleaseHeld(false)
			for range 3 {
				if c := <-done; c.Err != nil || c.Status != 0 || c.MessageID == "" {
					t.Errorf("part %d ended with %#x, %v", c.Part, c.Status, c.Err)
				}
			}
		}
		synctest.Wait()
		var want smpp.Refusals
		for why := range junk(0) {
			want[why] = rounds
		}
		if diff := cmp.Diff(want, e.Stats().Refusals); diff != "" {
			t.Errorf("refusals (-want +got):\n%s", diff)
		}
		lines := log.String()
		if strings.Contains(lines, "447700900") || strings.Contains(lines, "343437373030") || strings.Contains(lines, "what is this") {
			t.Error("the log shows numbers or texts")
		}
		for why, p := range junk(0x40000000) {
			warned, told := 0, 0
			for line := range strings.Lines(lines) {
				if !strings.Contains(line, "reason="+why.String()) {
					continue
				}
				switch {
				case strings.Contains(line, "level=WARN"):
					warned++
				case strings.Contains(line, "level=DEBUG") && strings.Contains(line, "sequence=") && strings.Contains(line, "pdu="):
					told++
				}
			}
			if warned != 1 || told != rounds {
				t.Errorf("%s (%#x): %d warnings and %d debug lines, want 1 and %d", why, p.CommandID, warned, told, rounds)
			}
		}
	})
}

func TestEachRefusalHasANameOfItsOwn(t *testing.T) {
	t.Parallel()
	names := map[string]bool{"unknown": true}
	for why := range (smpp.Refusals{}) {
		names[smpp.Refusal(why).String()] = true
	}
	if len(names) != len(smpp.Refusals{})+1 || names[""] {
		t.Errorf("names %v", names)
	}
	a, b := smpp.Refusals{1, 2}, smpp.Refusals{0, 5, 1}
	if diff := cmp.Diff(smpp.Refusals{1, 7, 1}, a.Plus(b)); diff != "" {
		t.Errorf("sum (-want +got):\n%s", diff)
	}
}
