package sms

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of a job.
const (
	maxIDChars          = 64
	maxAddressDigits    = 20 // SMPP 3.4 §5.2.8: 21 octets with the NUL
	maxPriority         = 3  // SMPP 3.4 §5.2.14
	maxServiceTypeChars = 5  // SMPP 3.4 §5.2.11: 6 octets with the NUL
	maxTLVs             = 255
	maxTLVOctets        = 65535
	maxMetaOctets       = 2 << 10
	// the longest relative validity of TP-VP (3GPP TS 23.040 §9.2.3.12.1)
	maxValidity = 63 * 7 * 24 * time.Hour
)

// Validate checks a job that was built in Go as DecodeJob checks one that was
// published. The error is an *Error with CodeInvalid around Faults.
func (j *Job) Validate() error {
	var f Faults
	if j.Text != nil && !utf8.ValidString(*j.Text) {
		f.add("text", "must be valid UTF-8 without unpaired surrogates")
	}
	if j.Meta != nil && (!validJSON(j.Meta) || j.Meta[skipSpace(j.Meta, 0)] != '{') {
		f.add("meta", "must be an object")
	}
	if len(j.TLVs) > maxTLVs {
		f.add("tlvs", "must be at most %d", maxTLVs)
	}
	j.check(&f)
	return f.err("validate job")
}

// check adds the faults that the types of Job leave possible.
func (j *Job) check(f *Faults) {
	switch {
	case j.ID == "":
		f.add("id", "must be given")
	case !validID(j.ID):
		f.add("id", "must be 1..%d of A-Z a-z 0-9 . _ ~ -, is %s", maxIDChars, quote(j.ID))
	}
	switch {
	case j.To == "":
		f.add("to", "must be given")
	case !validNumber(j.To):
		f.add("to", "must be digits with an optional leading +, at most %d, is %q", maxAddressDigits, MaskNumber(j.To))
	}
	if j.From != "" && !validNumber(j.From) && !validSenderName(j.From) {
		f.add("from", "must be digits with an optional leading +, at most %d, or at most %d letters, digits, spaces and signs, is %q",
			maxAddressDigits, maxSenderChars, MaskNumber(j.From))
	}
	j.checkContent(f)
	oneOf(f, "receipt", j.Receipt, receiptModes[:]...)
	oneOf(f, "delivery", j.Delivery, deliveryModes[:]...)
	if v := time.Duration(j.Validity); v != 0 && (v < time.Second || v > maxValidity) {
		f.add("validity", "must be 1s..%dh (63 weeks), is %s", int(maxValidity.Hours()), v)
	}
	if j.Priority > maxPriority {
		f.add("priority", "must be 0..%d, is %d", maxPriority, j.Priority)
	}
	if len(j.ServiceType) > maxServiceTypeChars || strings.ContainsFunc(j.ServiceType, notPrintable) {
		f.add("service_type", "must be at most %d printable ASCII characters, is %s", maxServiceTypeChars, quote(j.ServiceType))
	}
	for i := range j.TLVs {
		if n := len(j.TLVs[i].Value); n > maxTLVOctets {
			f.add("tlvs", "must have values of at most %d octets, one has %d", maxTLVOctets, n)
		}
	}
	if n := len(j.Meta); n > maxMetaOctets {
		f.add("meta", "must be at most %d octets, is %d", maxMetaOctets, n)
	}
	if !utf8.Valid(j.Meta) {
		f.add("meta", "must be valid UTF-8")
	}
}

// checkContent adds the faults of text, data and what belongs to them.
func (j *Job) checkContent(f *Faults) {
	hasText, hasData := j.Text != nil, j.HasData()
	switch {
	case hasText && hasData:
		f.add("text", "must not be given together with data")
	case !hasText && !hasData:
		f.add("text", "must be given, or data instead")
	}
	if hasData && j.Encoding != "" {
		f.add("encoding", "must not be given together with data; set data_coding instead")
	}
	if !hasData && len(j.UDH) > 0 {
		f.add("udh", "must not be given without data")
	}
	if !hasData && j.DataCoding != nil {
		f.add("data_coding", "must not be given without data; set encoding instead")
	}
	if n := len(j.UDH); n > 0 && int(j.UDH[0]) != n-1 {
		f.add("udh", "must begin with its own length: %d octets follow the first, which says %d", n-1, j.UDH[0])
	}
	oneOf(f, "encoding", j.Encoding, encodings[:]...)
	switch {
	case j.Flash && j.Encoding == EncodingLatin1:
		f.add("flash", "must not be given with latin1, which has no class 0 (3GPP TS 23.038 §4)")
	case j.Flash && j.DataCoding != nil:
		f.add("flash", "must not be given together with data_coding, which says the class itself")
	}
}

// oneOf adds a fault unless the value is empty or one of those allowed.
func oneOf[S ~string](f *Faults, field string, value S, allowed ...S) {
	if value == "" {
		return
	}
	for _, a := range allowed {
		if value == a {
			return
		}
	}
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	f.add(field, "must be one of %s, is %s", strings.Join(names, ", "), quote(string(value)))
}

func validID(s string) bool {
	if len(s) < 1 || len(s) > maxIDChars {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '.' && c != '_' && c != '~' && c != '-' {
			return false
		}
	}
	return true
}

func validNumber(s string) bool {
	s = strings.TrimPrefix(s, "+")
	if len(s) < 1 || len(s) > maxAddressDigits {
		return false
	}
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// validSenderName reports an alphanumeric sender: characters that ASCII and the
// GSM default alphabet share (3GPP TS 23.038 §6.2.1), because SMSCs convert it,
// and at least one letter or digit.
func validSenderName(s string) bool {
	if len(s) > maxSenderChars {
		return false
	}
	named := false
	for i := range len(s) {
		c := s[i]
		if notPrintable(rune(c)) || strings.IndexByte("[\\]^`{|}~", c) >= 0 {
			return false
		}
		named = named || isAlnum(c)
	}
	return named
}

func notPrintable(r rune) bool { return r < ' ' || r > '~' }
