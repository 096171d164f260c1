package sms

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// MaxJobOctets is the size above which a job is refused unread.
const MaxJobOctets = 256 << 10

// jobFields are the fields of a job in the order of its struct.
var jobFields = [...]string{
	"id", "to", "from", "from_ton", "from_npi", "to_ton", "to_npi", "text", "data", "udh", "data_coding",
	"encoding", "receipt", "delivery", "expires_at", "validity", "schedule_at", "priority", "flash",
	"service_type", "protocol_id", "replace_if_present", "tlvs", "meta",
}

// DecodeJob reads a job as a producer published it, validates it and fills in
// the defaults. It is strict: unknown and repeated fields, null, trailing data
// and invalid UTF-8 are refused. The error is an *Error with CodeInvalid around
// Faults that name everything wrong at once, and holds no text, payload or
// full number. JobID may still name the job. Meta is a part of data, which must
// not be changed while the job is used.
func DecodeJob(data []byte) (*Job, error) {
	var room struct { // one allocation
		job  Job
		text string
	}
	d := jobDecoder{job: &room.job, text: &room.text}
	if err := d.decode(data); err != nil {
		return nil, err
	}
	j := d.job
	if j.Text != nil && j.Encoding == "" {
		j.Encoding = EncodingAuto
	}
	if j.Delivery == "" {
		j.Delivery = AtLeastOnce
	}
	return j, nil
}

// JobID returns the id of a job that DecodeJob refused, when the bytes are a
// JSON object with one valid id; else the empty string.
func JobID(data []byte) string {
	data = data[skipSpace(data, 0):]
	if at(data, 0) != '{' {
		return ""
	}
	found, end := "", 0
	for name, value := range members(data, &end) {
		if s, ok := unquote(name); !ok || string(s) != "id" {
			continue
		}
		if found != "" || value[0] != '"' {
			return ""
		}
		id, ok := unquote(value)
		if !ok || !validID(string(id)) {
			return ""
		}
		found = string(id)
	}
	if !endsAt(data, end) {
		return ""
	}
	return found
}

// endsAt reports whether the object that ends at offset end, unless malformed,
// is all that data holds.
func endsAt(data []byte, end int) bool {
	return end >= 0 && skipSpace(data, end) == len(data)
}

type jobDecoder struct {
	job    *Job
	text   *string // what Job.Text points to when there is one
	seen   uint32  // bit per index in jobFields
	faults Faults
}

func (d *jobDecoder) decode(data []byte) error {
	if len(data) > MaxJobOctets {
		d.faults.add("", "must be at most %d octets, is %d", MaxJobOctets, len(data))
		return d.faults.err(opDecode)
	}
	object := data[skipSpace(data, 0):]
	if at(object, 0) != '{' && validJSON(object) {
		d.faults.add("", "must be one JSON object, is %s", kindOf(object))
		return d.faults.err(opDecode)
	}
	end := malformed
	if at(object, 0) == '{' {
		for name, value := range members(object, &end) {
			d.member(name, value)
		}
	}
	if !endsAt(object, end) {
		d.faults = nil // of what is not JSON, its fields are nothing to speak of
		d.faults.add("", "must be one JSON object%s", syntaxFault(data))
		return d.faults.err(opDecode)
	}
	d.job.check(&d.faults)
	return d.faults.err(opDecode)
}

const opDecode = "decode job"

// syntaxFault says where the JSON ends to be JSON, without its content.
func syntaxFault(data []byte) string {
	if len(data) == 0 {
		return ", is empty"
	}
	var syntax *json.SyntaxError
	var any json.RawMessage
	if err := json.Unmarshal(data, &any); errors.As(err, &syntax) {
		return ", fails at octet " + strconv.FormatInt(syntax.Offset, 10) + " of " + strconv.Itoa(len(data))
	}
	return ""
}

func (d *jobDecoder) member(quoted, raw []byte) {
	i := fieldIndex(jobFields[:], quoted)
	if i < 0 {
		d.faults = append(d.faults, unknownField("", quoted, jobFields[:]))
		return
	}
	name := jobFields[i]
	if d.seen&(1<<i) != 0 {
		d.faults.add(name, "must be given once")
		return
	}
	d.seen |= 1 << i
	d.set(name, raw)
}

// set stores the value of a field; what does not fit its type is a fault.
func (d *jobDecoder) set(name string, raw []byte) {
	j := d.job
	switch name {
	case "id":
		j.ID = d.string(name, raw)
	case "to":
		j.To = d.string(name, raw)
	case "from":
		j.From = choice[string](d, name, raw)
	case "from_ton":
		j.FromTON = d.octetPtr(name, raw)
	case "from_npi":
		j.FromNPI = d.octetPtr(name, raw)
	case "to_ton":
		j.ToTON = d.octetPtr(name, raw)
	case "to_npi":
		j.ToNPI = d.octetPtr(name, raw)
	case "text":
		*d.text = d.string(name, raw)
		j.Text = d.text
	case "data":
		j.Data = d.base64(name, raw)
	case "udh":
		j.UDH = d.base64(name, raw)
	case "data_coding":
		j.DataCoding = d.octetPtr(name, raw)
	case "encoding":
		j.Encoding = choice(d, name, raw, encodings[:]...)
	case "receipt":
		j.Receipt = choice(d, name, raw, receiptModes[:]...)
	case "delivery":
		j.Delivery = choice(d, name, raw, deliveryModes[:]...)
	case "expires_at":
		j.ExpiresAt = d.time(name, raw)
	case "validity":
		j.Validity = d.duration(name, raw)
	case "schedule_at":
		j.ScheduleAt = d.time(name, raw)
	case "priority":
		j.Priority = uint8(d.integer(name, raw, maxPriority))
	case "flash":
		j.Flash = d.bool(name, raw)
	case "service_type":
		j.ServiceType = d.string(name, raw)
	case "protocol_id":
		j.ProtocolID = uint8(d.integer(name, raw, math.MaxUint8))
	case "replace_if_present":
		j.Replace = d.bool(name, raw)
	case "tlvs":
		j.TLVs = d.tlvs(name, raw)
	case "meta":
		j.Meta = d.object(name, raw)
	}
}

// is reports whether the value is of the kind, as kindOf names it; when not,
// that is a fault.
func (d *jobDecoder) is(kind, field string, raw []byte) bool {
	got := kindOf(raw)
	if got == kind {
		return true
	}
	hint := ""
	if got == "null" {
		hint = "; leave the field out instead"
	}
	d.faults.add(field, "must be %s, is %s%s", kind, got, hint)
	return false
}

func (d *jobDecoder) string(field string, raw []byte) string {
	return string(d.octets(field, raw))
}

// octets is string without a copy: part of raw unless that has escapes.
func (d *jobDecoder) octets(field string, raw []byte) []byte {
	if !d.is("a string", field, raw) {
		return nil
	}
	s, ok := unquote(raw)
	if !ok {
		d.faults.add(field, "must be valid UTF-8 without unpaired surrogates")
	}
	return s
}

// choice is a text that stands for its absence when empty, and so must not be
// empty where it is present. One of those known is not allocated.
func choice[S ~string](d *jobDecoder, field string, raw []byte, known ...S) S {
	s := d.octets(field, raw)
	if len(s) == 0 {
		d.faults.add(field, "must not be empty; leave the field out for the default")
	}
	for _, k := range known {
		if string(s) == string(k) {
			return k
		}
	}
	return S(s)
}

func (d *jobDecoder) bool(field string, raw []byte) bool {
	return d.is("true or false", field, raw) && raw[0] == 't'
}

// integer reads a whole number of 0..limit, written without fraction and
// exponent.
func (d *jobDecoder) integer(field string, raw []byte, limit int) int {
	if !d.is("a number", field, raw) {
		return 0
	}
	n, err := strconv.Atoi(string(raw))
	if err == nil && n >= 0 && n <= limit {
		return n
	}
	whole, is := "", ""
	if bytes.ContainsAny(raw, ".eE") {
		whole = "a whole number "
	}
	if len(raw) <= maxSenderDigits { // a longer one may be somebody's, in the wrong field
		is = ", is " + string(raw)
	}
	d.faults.add(field, "must be %s0..%d%s", whole, limit, is)
	return 0
}

func (d *jobDecoder) octetPtr(field string, raw []byte) *uint8 {
	n := uint8(d.integer(field, raw, math.MaxUint8))
	return &n
}

// base64 reads RFC 4648 §4 base64 with padding and no line breaks.
func (d *jobDecoder) base64(field string, raw []byte) []byte {
	s := d.string(field, raw)
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") {
		d.faults.add(field, "must be base64 with padding and without line breaks")
	}
	if len(b) == 0 && field == "udh" {
		d.faults.add(field, "must not be empty")
	}
	return b
}

func (d *jobDecoder) time(field string, raw []byte) time.Time {
	s := d.octets(field, raw)
	var t time.Time
	if t.UnmarshalText(s) != nil || t.IsZero() {
		d.faults.add(field, "must be RFC 3339 like 2006-01-02T15:04:05Z, is %s", quote(string(s)))
	}
	return t
}

func (d *jobDecoder) duration(field string, raw []byte) Duration {
	s := d.string(field, raw)
	v, err := time.ParseDuration(s)
	if err != nil || v == 0 {
		d.faults.add(field, "must be a duration above 0 like 90m or 36h, is %s", quote(s))
	}
	return Duration(v)
}

func (d *jobDecoder) object(field string, raw []byte) json.RawMessage {
	if !d.is("an object", field, raw) {
		return nil
	}
	return raw[:len(raw):len(raw)]
}

func (d *jobDecoder) tlvs(field string, raw []byte) []JobTLV {
	if !d.is("an array", field, raw) {
		return nil
	}
	var tlvs []JobTLV
	for element := range elements(raw) {
		if len(tlvs) == maxTLVs {
			d.faults.add(field, "must be at most %d", maxTLVs)
			return nil
		}
		tlvs = append(tlvs, d.tlv(field+"["+strconv.Itoa(len(tlvs))+"]", element))
	}
	return tlvs
}

var tlvFields = [...]string{"tag", "value"}

func (d *jobDecoder) tlv(path string, raw []byte) (tlv JobTLV) {
	if !d.is("an object", path, raw) {
		return tlv
	}
	seen, end := [len(tlvFields)]bool{}, 0
	for quoted, value := range members(raw, &end) {
		i := fieldIndex(tlvFields[:], quoted)
		if i < 0 {
			d.faults = append(d.faults, unknownField(path+".", quoted, tlvFields[:]))
			continue
		}
		name := tlvFields[i]
		field := path + "." + name
		if seen[i] {
			d.faults.add(field, "must be given once")
			continue
		}
		seen[i] = true
		if name == "tag" {
			tlv.Tag = uint16(d.integer(field, value, math.MaxUint16))
		} else {
			tlv.Value = d.hex(field, value)
		}
	}
	for i, name := range tlvFields {
		if !seen[i] {
			d.faults.add(path+"."+name, "must be given")
		}
	}
	return tlv
}

func (d *jobDecoder) hex(field string, raw []byte) HexBytes {
	b, err := hex.DecodeString(d.string(field, raw))
	if err != nil {
		d.faults.add(field, "must be pairs of hexadecimal digits")
		return nil
	}
	return b
}
