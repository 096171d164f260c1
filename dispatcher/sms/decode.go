package sms

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"slices"
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
// full number. JobID may still name the job.
func DecodeJob(data []byte) (*Job, error) {
	d := jobDecoder{job: new(Job)}
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
	if !json.Valid(data) {
		return ""
	}
	start := skipSpace(data, 0)
	if data[start] != '{' {
		return ""
	}
	found := ""
	for name, value := range members(data[start:]) {
		if s, ok := unquote(name); !ok || s != "id" {
			continue
		}
		if found != "" || value[0] != '"' {
			return ""
		}
		id, ok := unquote(value)
		if !ok || !validID(id) {
			return ""
		}
		found = id
	}
	return found
}

type jobDecoder struct {
	job    *Job
	seen   uint32 // bit per index in jobFields
	faults Faults
}

func (d *jobDecoder) decode(data []byte) error {
	if len(data) > MaxJobOctets {
		d.faults.add("", "must be at most %d octets, is %d", MaxJobOctets, len(data))
		return d.faults.err(opDecode)
	}
	if !json.Valid(data) {
		d.faults.add("", "must be one JSON object%s", syntaxFault(data))
		return d.faults.err(opDecode)
	}
	data = data[skipSpace(data, 0):]
	if data[0] != '{' {
		d.faults.add("", "must be one JSON object, is %s", kindOf(data))
		return d.faults.err(opDecode)
	}
	for name, value := range members(data) {
		d.member(name, value)
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
		j.ID = d.text(name, raw)
	case "to":
		j.To = d.text(name, raw)
	case "from":
		j.From = d.choice(name, raw)
	case "from_ton":
		j.FromTON = d.octetPtr(name, raw)
	case "from_npi":
		j.FromNPI = d.octetPtr(name, raw)
	case "to_ton":
		j.ToTON = d.octetPtr(name, raw)
	case "to_npi":
		j.ToNPI = d.octetPtr(name, raw)
	case "text":
		text := d.text(name, raw)
		j.Text = &text
	case "data":
		j.Data = d.base64(name, raw)
	case "udh":
		j.UDH = d.base64(name, raw)
	case "data_coding":
		j.DataCoding = d.octetPtr(name, raw)
	case "encoding":
		j.Encoding = Encoding(d.choice(name, raw))
	case "receipt":
		j.Receipt = ReceiptMode(d.choice(name, raw))
	case "delivery":
		j.Delivery = DeliveryMode(d.choice(name, raw))
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
		j.ServiceType = d.text(name, raw)
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

func (d *jobDecoder) text(field string, raw []byte) string {
	if !d.is("a string", field, raw) {
		return ""
	}
	s, ok := unquote(raw)
	if !ok {
		d.faults.add(field, "must be valid UTF-8 without unpaired surrogates")
	}
	return s
}

// choice is a text that stands for its absence when empty, and so must not be
// empty where it is present.
func (d *jobDecoder) choice(field string, raw []byte) string {
	s := d.text(field, raw)
	if s == "" {
		d.faults.add(field, "must not be empty; leave the field out for the default")
	}
	return s
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
	s := d.text(field, raw)
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
	s := d.text(field, raw)
	var t time.Time
	if t.UnmarshalText([]byte(s)) != nil || t.IsZero() {
		d.faults.add(field, "must be RFC 3339 like 2006-01-02T15:04:05Z, is %s", quote(s))
	}
	return t
}

func (d *jobDecoder) duration(field string, raw []byte) Duration {
	s := d.text(field, raw)
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
	return slices.Clone(raw)
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
	seen := [len(tlvFields)]bool{}
	for quoted, value := range members(raw) {
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
	b, err := hex.DecodeString(d.text(field, raw))
	if err != nil {
		d.faults.add(field, "must be pairs of hexadecimal digits")
		return nil
	}
	return b
}

// fieldIndex finds a member's name among the known ones, -1 when it is not.
func fieldIndex(known []string, quoted []byte) int {
	for i, k := range known {
		if string(quoted[1:len(quoted)-1]) == k {
			return i
		}
	}
	if !bytes.ContainsRune(quoted, '\\') {
		return -1
	}
	name, _ := unquote(quoted)
	return slices.Index(known, name)
}

// unknownField names a field that is not in the contract, unless the name looks
// like content that went astray.
func unknownField(path string, quoted []byte, known []string) Fault {
	name, _ := unquote(quoted)
	shown := name
	if len(name) > 40 || digits(name) > maxSenderDigits || strings.ContainsFunc(name, notFieldRune) || name == "" {
		shown = "?"
	}
	for _, k := range known {
		if strings.EqualFold(k, name) {
			return Fault{path + shown, "unknown field; did you mean " + k + "?"}
		}
	}
	return Fault{path + shown, "unknown field"}
}

func notFieldRune(r rune) bool {
	return r > '~' || !isAlnum(byte(r)) && !strings.ContainsRune("_-.$@", r)
}
