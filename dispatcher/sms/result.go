package sms

import (
	"encoding/json"
	"time"
)

// Kind is the kind of a result; the first four are terminal and every job has
// exactly one of them.
type Kind string

// Kinds.
const (
	KindSubmitted Kind = "submitted" // the SMSC accepted every part
	KindFailed    Kind = "failed"    // refused for good, or attempts spent
	KindExpired   Kind = "expired"   // expires_at passed first
	KindUncertain Kind = "uncertain" // written, unanswered, and not to be sent again
	KindReceipt   Kind = "receipt"   // a delivery receipt of one part
)

// UnmatchedProducer stands for the producer in receipts whose job is unknown.
const UnmatchedProducer = "_unmatched"

// Result is an outcome or a receipt, as consumers read it. Fields of other
// kinds are absent.
type Result struct {
	ID                string          `json:"id"` // stable: a repeat carries the same, also as Nats-Msg-Id
	Kind              Kind            `json:"kind"`
	JobID             string          `json:"job_id,omitempty"`
	Producer          string          `json:"producer"`
	Route             string          `json:"route"`         // of the job
	Via               string          `json:"via,omitempty"` // the route that carried it instead; its message ids and bind are that one's
	Time              time.Time       `json:"time"`
	Meta              json.RawMessage `json:"meta,omitempty"`
	Attempt           int             `json:"attempt,omitempty"` // 1-based; begins again with each replay
	Replay            int             `json:"replay,omitempty"`  // 1-based: the outcome of the job's n-th replay as a dead letter
	PossibleDuplicate bool            `json:"possible_duplicate,omitempty"`

	// submitted, failed, uncertain
	Parts     []Part  `json:"parts,omitempty"`      // parts the SMSC accepted
	Bind      string  `json:"bind,omitempty"`       // bind that carried the last part
	LatencyMS float64 `json:"latency_ms,omitempty"` // submit_sm written to submit_sm_resp read, slowest part

	// failed, expired, uncertain
	Code       Code   `json:"code,omitempty"`
	Status     uint32 `json:"status,omitempty"`      // command_status
	StatusName string `json:"status_name,omitempty"` // "ESME_RINVDSTADR"
	Reason     string `json:"reason,omitempty"`

	// receipt
	*Receipt

	Trace *Trace `json:"-"` // goes with it as headers; nil: in none that is sampled
}

// Part is one message of a job that the SMSC accepted.
type Part struct {
	Number       int    `json:"number"`                   // 1-based
	MessageID    string `json:"message_id,omitempty"`     // by the route's rule; empty when the SMSC gave none
	RawMessageID string `json:"raw_message_id,omitempty"` // as received
}

// Receipt is what an SMSC said about one part.
type Receipt struct {
	MessageID    string     `json:"message_id"`
	Part         int        `json:"part,omitempty"`
	PartsTotal   int        `json:"parts_total,omitempty"`
	State        State      `json:"state"`
	Final        bool       `json:"final"`
	ErrorCode    string     `json:"error_code,omitempty"`
	NetworkError string     `json:"network_error,omitempty"` // "3:1024": network type and code; raw hex when malformed
	SubmitDate   *time.Time `json:"submit_date,omitempty"`
	DoneDate     *time.Time `json:"done_date,omitempty"`
	Text         string     `json:"text,omitempty"`
	Raw          string     `json:"raw,omitempty"`       // user data as received; octets that are no UTF-8 as \xNN, a backslash before what looks so as \x5C
	JobState     State      `json:"job_state,omitempty"` // once every part is final: the worst of the parts
}

// State is the state of a message at the SMSC (SMPP 3.4 §5.2.28, 5.0 §4.7.15).
type State string

// States.
const (
	StateScheduled     State = "SCHEDULED"
	StateEnroute       State = "ENROUTE"
	StateDelivered     State = "DELIVERED"
	StateExpired       State = "EXPIRED"
	StateDeleted       State = "DELETED"
	StateUndeliverable State = "UNDELIVERABLE"
	StateAccepted      State = "ACCEPTED"
	StateUnknown       State = "UNKNOWN"
	StateRejected      State = "REJECTED"
	StateSkipped       State = "SKIPPED"
)

// Final reports whether no later state follows by the specification.
// ACCEPTED and UNKNOWN are not final unless a route says so.
func (s State) Final() bool {
	switch s {
	case StateDelivered, StateExpired, StateDeleted, StateUndeliverable, StateRejected, StateSkipped:
		return true
	}
	return false
}

// Inbound is a mobile-originated message. One that came in parts has the last
// four fields, whether or not all of them came.
type Inbound struct {
	ID           string        `json:"id"` // stable for a message of parts: a repeat carries the same, also as Nats-Msg-Id
	Route        string        `json:"route"`
	Bind         string        `json:"bind"` // that brought the first of Parts
	Time         time.Time     `json:"time"` // when it came, or the first of its parts
	From         string        `json:"from"`
	To           string        `json:"to"`
	Text         string        `json:"text,omitempty"`
	Data         []byte        `json:"data,omitzero"` // user data as received, base64; that of parts in order, without their headers
	DataCoding   uint8         `json:"data_coding"`
	ESMClass     uint8         `json:"esm_class"`
	Reference    *uint16       `json:"reference,omitempty"`     // that the sender gave all parts
	PartsTotal   int           `json:"parts_total,omitempty"`   // that the sender made, 2..255
	PartsMissing []int         `json:"parts_missing,omitempty"` // numbers of those that did not come in time
	Parts        []InboundPart `json:"parts,omitempty"`         // those that came, by number

	Trace *Trace `json:"-"` // goes with it as headers; nil: in none that is sampled
}

// InboundPart is one part of an Inbound.
type InboundPart struct {
	Number int    `json:"number"` // 1-based
	Data   []byte `json:"data"`   // user data as received, its header included, base64
}
