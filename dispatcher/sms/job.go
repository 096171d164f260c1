package sms

import (
	"encoding/json"
	"time"
)

// Job is what a producer asks for: one text, or one binary payload, to one
// number. Decode with DecodeJob, which also validates.
type Job struct {
	ID          string          `json:"id"`                     // idempotency key, [A-Za-z0-9._~-]{1,64}
	To          string          `json:"to"`                     // digits with optional leading +, at most 20 digits
	From        string          `json:"from,omitempty"`         // digits or ≤ 11 alphanumeric characters; empty means the route's source
	FromTON     *uint8          `json:"from_ton,omitempty"`     // 0..255, default from the form of From
	FromNPI     *uint8          `json:"from_npi,omitempty"`     // 0..255
	ToTON       *uint8          `json:"to_ton,omitempty"`       // 0..255
	ToNPI       *uint8          `json:"to_npi,omitempty"`       // 0..255
	Text        *string         `json:"text,omitempty"`         // exactly one of Text and Data
	Data        []byte          `json:"data,omitzero"`          // base64 in JSON; HasData tells an empty one from none
	UDH         []byte          `json:"udh,omitempty"`          // base64; only with Data
	DataCoding  *uint8          `json:"data_coding,omitempty"`  // 0..255; only with Data
	Encoding    Encoding        `json:"encoding,omitempty"`     // default auto
	Receipt     ReceiptMode     `json:"receipt,omitempty"`      // empty means the route's
	Delivery    DeliveryMode    `json:"delivery,omitempty"`     // default at_least_once
	ExpiresAt   time.Time       `json:"expires_at,omitzero"`    // not submitted after this; zero means never
	Validity    Duration        `json:"validity,omitempty"`     // validity_period; 0 means the SMSC's
	ScheduleAt  time.Time       `json:"schedule_at,omitzero"`   // schedule_delivery_time; zero means at once
	Priority    uint8           `json:"priority,omitempty"`     // SMPP priority_flag 0..3
	Flash       bool            `json:"flash,omitempty"`        // class 0 display
	ServiceType string          `json:"service_type,omitempty"` // ≤ 5 characters
	ProtocolID  uint8           `json:"protocol_id,omitempty"`  // 0..255
	Replace     bool            `json:"replace_if_present,omitempty"`
	TLVs        []JobTLV        `json:"tlvs,omitempty"` // order and repeats kept
	Meta        json.RawMessage `json:"meta,omitempty"` // JSON object ≤ 2 KiB, echoed in every result
}

// HasData reports whether the job carries a binary payload, an empty one
// included.
func (j *Job) HasData() bool { return j.Data != nil }

// JobTLV is an optional parameter as a producer writes it: the tag as a
// number, the value as hexadecimal digits.
type JobTLV struct {
	Tag   uint16   `json:"tag"`
	Value HexBytes `json:"value"`
}

// Encoding chooses the alphabet of a text.
type Encoding string

// Encodings.
const (
	EncodingAuto   Encoding = "auto"   // GSM 03.38 when every character fits, else UCS-2
	EncodingGSM7   Encoding = "gsm7"   // GSM 03.38 with its extension table
	EncodingLatin1 Encoding = "latin1" // ISO 8859-1, data_coding 3
	EncodingUCS2   Encoding = "ucs2"   // UTF-16BE, data_coding 8
)

var encodings = [...]Encoding{EncodingAuto, EncodingGSM7, EncodingLatin1, EncodingUCS2}

// ReceiptMode chooses registered_delivery (SMPP 3.4 §5.2.17).
type ReceiptMode string

// Receipt modes.
const (
	ReceiptFinal   ReceiptMode = "final"   // success or failure
	ReceiptFailure ReceiptMode = "failure" // failure only
	ReceiptAll     ReceiptMode = "all"     // final and intermediate notifications
	ReceiptNone    ReceiptMode = "none"
)

var receiptModes = [...]ReceiptMode{ReceiptFinal, ReceiptFailure, ReceiptAll, ReceiptNone}

// DeliveryMode says what happens to a job whose fate at the SMSC is in doubt.
type DeliveryMode string

// Delivery modes.
const (
	AtLeastOnce DeliveryMode = "at_least_once" // submitted again, the result says possible_duplicate
	AtMostOnce  DeliveryMode = "at_most_once"  // never submitted again, the result is uncertain
)

var deliveryModes = [...]DeliveryMode{AtLeastOnce, AtMostOnce}

// Lane orders jobs of one route: high overtakes normal overtakes bulk.
type Lane string

// Lanes.
const (
	LaneHigh   Lane = "high"
	LaneNormal Lane = "normal"
	LaneBulk   Lane = "bulk"
)

// Lanes lists every lane, the most urgent first.
func Lanes() []Lane { return []Lane{LaneHigh, LaneNormal, LaneBulk} }

// Valid reports whether l is one of Lanes.
func (l Lane) Valid() bool { return l == LaneHigh || l == LaneNormal || l == LaneBulk }

// Duration is a time.Duration that JSON carries as Go writes it: "90m".
type Duration time.Duration

// HexBytes is a byte string that JSON carries as hexadecimal digits.
type HexBytes []byte
