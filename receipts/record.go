package receipts

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// record is what the ledger keeps of a job, as text:
//
//	1C9f86d081-2a pod-3/9f86d081 1@acme 0 [{"number":1,"message_id":"7f2a"}]
//
// The version and the state, at once followed by the token of the claim; the
// worker and its incarnation; the number of the attempt, until the job is
// settled with @ and the route that carries it; 1 when the job is in doubt,
// with a stroke and the number of the replay if it is one; then the accepted
// parts, or once settled the outcome.
type record struct {
	state   recordState
	token   string
	worker  string // id and incarnation, id/incarnation
	attempt int
	carrier string // when not settled: the outcome has its own; "" in records of old, for the job's route
	doubt   bool
	replay  int
	parts   []sms.Part  // when not settled
	outcome *sms.Result // when settled
}

type recordState byte

const (
	recordVersion = '1'

	recordClaimed  recordState = 'C' // a worker has it
	recordReleased recordState = 'R' // handed back in good order
	recordSettled  recordState = 'S' // has its outcome
)

var noParts = []byte("[]")

// appendHead appends the record up to its parts or outcome.
func (r *record) appendHead(b []byte) []byte {
	b = append(b, recordVersion, byte(r.state))
	b = append(b, r.token...)
	b = append(b, ' ')
	b = append(b, r.worker...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(r.attempt), 10)
	if r.carrier != "" {
		b = append(append(b, '@'), r.carrier...)
	}
	if r.doubt {
		b = append(b, " 1"...)
	} else {
		b = append(b, " 0"...)
	}
	if r.replay > 0 {
		b = strconv.AppendInt(append(b, '/'), int64(r.replay), 10)
	}
	return append(b, ' ')
}

// append fails only when the outcome's Meta is no JSON.
func (r *record) append(b []byte) ([]byte, error) {
	b = r.appendHead(b)
	if r.state == recordSettled {
		return r.outcome.AppendJSON(b)
	}
	return append(b, encodeParts(r.parts)...), nil
}

func encodeParts(parts []sms.Part) []byte {
	if len(parts) == 0 {
		return noParts
	}
	b, err := json.Marshal(parts)
	if err != nil {
		panic("receipts: parts always marshal: " + err.Error())
	}
	return b
}

// decodeRecord fails on what a later version, or nobody, wrote.
func decodeRecord(b string) (*record, error) {
	if len(b) < 2 || b[0] != recordVersion {
		return nil, fmt.Errorf("ledger record of unknown version %q", b[:min(len(b), 1)])
	}
	f := strings.SplitN(b[2:], " ", 5)
	if len(f) != 5 {
		return nil, fmt.Errorf("ledger record of %d fields", len(f))
	}
	number, carrier, _ := strings.Cut(f[2], "@")
	attempt, err := strconv.Atoi(number)
	if err != nil {
		return nil, fmt.Errorf("ledger record: attempt: %w", err)
	}
	r := &record{
		state: recordState(b[1]), token: f[0], worker: f[1], attempt: attempt, carrier: carrier,
	}
	doubt, replay, replayed := strings.Cut(f[3], "/")
	r.doubt = doubt == "1"
	if replayed {
		if r.replay, err = strconv.Atoi(replay); err != nil {
			return nil, fmt.Errorf("ledger record: replay: %w", err)
		}
	}
	switch r.state {
	case recordClaimed, recordReleased:
		err = json.Unmarshal([]byte(f[4]), &r.parts)
	case recordSettled:
		err = json.Unmarshal([]byte(f[4]), &r.outcome)
	default:
		return nil, fmt.Errorf("ledger record of unknown state %q", b[1])
	}
	if err != nil {
		return nil, fmt.Errorf("ledger record: %w", err)
	}
	return r, nil
}

// heldBy reports whether the record belongs to the claim, without decoding it.
func heldBy(b, token string) bool {
	return len(b) > 2+len(token) && b[0] == recordVersion && b[2:2+len(token)] == token && b[2+len(token)] == ' '
}

// parkedReceipt is a receipt that waits for its job: the result as it would be
// published unmatched, and every key under which the job may turn up.
type parkedReceipt struct {
	Keys   []string    `json:"c"`
	Result *sms.Result `json:"r"`
}
