package receipts

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// IDRule says how one side of an SMSC writes message ids. An SMSC may answer
// submit_sm in hexadecimal and write the same number in decimal in the text of
// the receipt; both rules then lead to the same key.
type IDRule string

// Rules for message ids.
const (
	IDAsIs    IDRule = "as-is"   // compared as text, without regard to case and surrounding blanks
	IDHex     IDRule = "hex"     // a hexadecimal number, with or without 0x and leading zeros
	IDDecimal IDRule = "decimal" // a decimal number, with or without leading zeros
	// IDAuto is for SMSCs of which nobody knows: compared as text, without
	// regard to case and leading zeros, and receipts also by the number in the
	// other notation. It stands on both sides or on none.
	IDAuto IDRule = "auto"
)

// maxNumberDigits is how long an id may be to be converted: as long as
// message_id may be (SMPP 3.4 §5.2.23).
const maxNumberDigits = 64

// Valid reports whether r is one of the rules.
func (r IDRule) Valid() bool {
	return r == IDAsIs || r == IDHex || r == IDDecimal || r == IDAuto
}

// ID returns the id as results show it: the decimal number for hex and
// decimal, else as received, trimmed. What is no number, such as a UUID with
// dashes under the rule hex, is left as it is. Invalid UTF-8 becomes \xNN
// escapes.
func (r IDRule) ID(raw string) string { return r.id(escape(trim(raw))) }

// Key returns the id under which both sides meet.
func (r IDRule) Key(raw string) string { return r.key(escape(trim(raw))) }

// id is ID of what was trimmed and escaped, as Parsed has it.
func (r IDRule) id(id string) string {
	switch r {
	case IDHex:
		if n, ok := hexToDecimal(id); ok {
			return n
		}
	case IDDecimal:
		if isDigits(id) {
			return withoutZeros(id)
		}
	}
	return id
}

// key is Key of what was trimmed and escaped.
func (r IDRule) key(id string) string {
	if r == IDAuto {
		id = strings.ToLower(id)
		if number, ok := strings.CutPrefix(id, "0x"); ok && isHex(number) {
			id = number
		}
		return withoutZeros(id)
	}
	return strings.ToLower(r.id(id))
}

// withoutZeros cuts leading zeros; of zeros alone one is left.
func withoutZeros(id string) string {
	for len(id) > 1 && id[0] == '0' && isAlphanumeric(id[1]) {
		id = id[1:]
	}
	return id
}

func isAlphanumeric(c byte) bool { return isWord(c) && c != '_' }

// hexToDecimal rewrites a number of at most maxNumberDigits digits, of
// whatever size: ids of 128 bits have been seen.
func hexToDecimal(id string) (string, bool) {
	if len(id) > 2 && id[0] == '0' && id[1]|0x20 == 'x' {
		id = id[2:]
	}
	if !isHex(id) || len(id) > maxNumberDigits {
		return "", false
	}
	if n, err := strconv.ParseUint(id, 16, 64); err == nil {
		return strconv.FormatUint(n, 10), true
	}
	n, ok := new(big.Int).SetString(id, 16)
	if !ok {
		return "", false
	}
	return n.String(), true
}

// decimalToHex is its opposite, in lower case.
func decimalToHex(id string) (string, bool) {
	if !isDigits(id) || len(id) > maxNumberDigits {
		return "", false
	}
	if n, err := strconv.ParseUint(id, 10, 64); err == nil {
		return strconv.FormatUint(n, 16), true
	}
	n, ok := new(big.Int).SetString(id, 10)
	if !ok {
		return "", false
	}
	return n.Text(16), true
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; (s[i] < '0' || s[i] > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s != ""
}

// IDRules are the rules of both sides of a route.
type IDRules struct {
	Submit  IDRule // submit_sm_resp and, by custom, receipted_message_id. Default as-is.
	Receipt IDRule // the text of receipts. Default as-is.
}

func (r IDRules) validate() error {
	for _, rule := range []IDRule{r.Submit, r.Receipt} {
		if !rule.Valid() {
			return fmt.Errorf("message id: must be as-is, hex, decimal or auto, is %q", rule)
		}
	}
	if (r.Submit == IDAuto) != (r.Receipt == IDAuto) {
		return errors.New("message id: auto must stand on both sides, or on none")
	}
	return nil
}

// Candidates returns the keys under which the job of a receipt may be found,
// the likeliest first, none twice. There is none when the receipt has no id.
//
// receipted_message_id usually repeats submit_sm_resp and the text has its own
// notation; where reading the TLV in the text's way makes the two agree, that
// reading goes first. An id that the rule for receipts cannot read, or of more
// than 64 bits, may after all be written as in submit_sm_resp.
func (r IDRules) Candidates(p Parsed) []string { return r.appendCandidates(nil, &p, bothNotations) }

func (r IDRules) appendCandidates(keys []string, p *Parsed, seen notation) []string {
	if r.Submit == IDAuto {
		return appendAuto(keys, p, seen)
	}
	add := func(key string) {
		if key != "" && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	text := r.Receipt.key(p.TextID)
	if p.TLVID != "" && r.Submit != r.Receipt && r.Receipt.key(p.TLVID) == text {
		add(text)
	}
	add(r.Submit.key(p.TLVID))
	add(text)
	if r.readAsSubmit(p.TextID) {
		add(r.Submit.key(p.TextID))
	}
	add(r.Receipt.key(p.OtherID))
	if before, _, found := strings.Cut(p.TLVID, "@"); found {
		add(r.Submit.key(before))
	}
	return keys
}

// readAsSubmit reports whether the id of a text may be written as those of
// submit_sm_resp are, against the rule.
func (r IDRules) readAsSubmit(id string) bool {
	if r.Submit == r.Receipt {
		return false
	}
	const digitsOf64Bits, hexDigitsOf64Bits = 20, 16
	switch r.Receipt {
	case IDDecimal:
		return !isDigits(id) || len(id) > digitsOf64Bits
	case IDHex:
		return !isHex(id) || len(id) > hexDigitsOf64Bits
	}
	return false
}

// shown is the id that a receipt without a known job is published under.
func (r IDRules) shown(p Parsed) string {
	if p.TLVID != "" {
		return r.Submit.id(p.TLVID)
	}
	return r.Receipt.id(p.TextID)
}
