//go:build interop

package interop_test

import (
	"strings"
	"testing"
)

// sessionKey names a session in a record.
type sessionKey struct{ run, session int }

// dialogue is what went over one session.
type dialogue struct {
	kind     string           // the bind command
	sequence uint32           // of our last request
	asked    map[request]bool // without a response yet
	leaving  bool             // the server has sent unbind
	late     []request        // what it still asked after that
}

type request struct {
	dir     string
	command string
	seq     uint32
}

// audit reads the record of a server that has nothing more to do, and holds
// both sides to the protocol: who binds comes first, every request has the one
// response that is its own, our sequence numbers ascend, and each half of a
// pair does its own work. What was cut off when the server was killed may
// lack its end, and so may what a server asks after it has sent unbind: it
// closes as soon as that is answered, and delivers again to the next session.
func (s *nodeSMSC) audit(t *testing.T) {
	t.Helper()
	pdus := s.lines(t, "pdu")
	if len(pdus) == 0 {
		t.Error("no PDU was recorded")
		return
	}
	last := pdus[len(pdus)-1].Run
	sessions := map[sessionKey]*dialogue{}
	for _, p := range pdus {
		at := sessionKey{p.Run, p.Session}
		d := sessions[at]
		if d == nil {
			d = &dialogue{kind: p.Command, asked: map[request]bool{}}
			sessions[at] = d
			if p.Dir != "in" || !strings.HasPrefix(p.Command, "bind_") {
				t.Errorf("session %+v begins with %s", at, p.Command)
			}
		}
		if fault := d.take(p); fault != "" {
			t.Errorf("session %+v (%s), %s %s, sequence %d: %s", at, d.kind, p.Dir, p.Command, p.Seq, fault)
		}
	}
	for at, d := range sessions {
		for _, r := range d.late {
			delete(d.asked, r)
		}
		for r := range d.asked {
			if r.dir == "out" && r.command == "enquire_link" {
				delete(d.asked, r) // it may have met our unbind
			}
		}
		if at.run == last && len(d.asked) > 0 {
			t.Errorf("session %+v (%s) ended with requests unanswered: %v", at, d.kind, d.asked)
		}
	}
	for _, ev := range []string{"error", "tls_error"} {
		if errs := s.lines(t, ev); len(errs) > 0 {
			t.Errorf("node-smpp complains: %+v", errs)
		}
	}
}

// take follows the dialogue and says what is wrong with a PDU of it.
func (d *dialogue) take(p line) (fault string) {
	if command, response := strings.CutSuffix(p.Command, "_resp"); response {
		r := request{map[string]string{"in": "out", "out": "in"}[p.Dir], command, p.Seq}
		if !d.asked[r] {
			return "answers nothing that is open"
		}
		delete(d.asked, r)
		return ""
	}
	r := request{p.Dir, p.Command, p.Seq}
	if d.asked[r] {
		return "its sequence number is still open"
	}
	d.asked[r] = true
	if p.Dir == "out" {
		if d.leaving {
			d.late = append(d.late, r)
		}
		d.leaving = d.leaving || p.Command == "unbind"
	}
	switch p.Command {
	case "bind_transceiver", "bind_transmitter", "bind_receiver", "enquire_link", "unbind":
	case "submit_sm", "data_sm", "deliver_sm":
		barred := map[string]string{"in": "bind_receiver", "out": "bind_transmitter"}[p.Dir]
		if d.kind == barred {
			return "has no place in this half of the pair"
		}
	default:
		return "is nothing that either side has to say"
	}
	if p.Dir == "in" {
		if p.Seq != d.sequence+1 {
			return "does not follow the one before"
		}
		d.sequence = p.Seq
	}
	return ""
}

// partKey is a part of a message as the SMSC got it.
type partKey struct {
	to, udh, text string
	part          int
}

// parts returns how often each part was submitted and had this status.
func (s *nodeSMSC) parts(t *testing.T, status uint32) map[partKey]int {
	t.Helper()
	got := map[partKey]int{}
	for _, l := range s.lines(t, "submit") {
		if l.Status == status {
			got[partKey{l.To, l.UDH, l.Text, l.Part}]++
		}
	}
	return got
}
