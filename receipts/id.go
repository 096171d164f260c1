package receipts

import (
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
)

// Valid reports whether r is one of the rules.
func (r IDRule) Valid() bool { return r == IDAsIs || r == IDHex || r == IDDecimal }

// ID returns the id as results show it: the decimal number for hex and
// decimal, else as received, trimmed. What is no number of at most 64 bits,
// such as a UUID under the rule hex, is left as it is. Invalid UTF-8 becomes
// \xNN escapes.
func (r IDRule) ID(raw string) string {
	id := escape(trim(raw))
	var n uint64
	var err error
	switch r {
	case IDHex:
		n, err = strconv.ParseUint(strings.TrimPrefix(strings.TrimPrefix(id, "0x"), "0X"), 16, 64)
	case IDDecimal:
		n, err = strconv.ParseUint(id, 10, 64)
	default:
		return id
	}
	if err != nil {
		return id
	}
	return strconv.FormatUint(n, 10)
}

// Key returns the id under which both sides meet.
func (r IDRule) Key(raw string) string { return strings.ToLower(r.ID(raw)) }

// IDRules are the rules of both sides of a route.
type IDRules struct {
	Submit  IDRule // submit_sm_resp and, by custom, receipted_message_id. Default as-is.
	Receipt IDRule // the text of receipts. Default as-is.
}

// Candidates returns the keys under which the job of a receipt may be found,
// the likeliest first, none twice. There is none when the receipt has no id.
//
// receipted_message_id usually repeats submit_sm_resp and the text has its own
// notation; where reading the TLV in the text's way makes the two agree, that
// reading goes first.
func (r IDRules) Candidates(p Parsed) []string { return r.appendCandidates(nil, &p) }

func (r IDRules) appendCandidates(keys []string, p *Parsed) []string {
	add := func(key string) {
		if key != "" && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	text := r.Receipt.Key(p.TextID)
	if p.TLVID != "" && r.Submit != r.Receipt && r.Receipt.Key(p.TLVID) == text {
		add(text)
	}
	add(r.Submit.Key(p.TLVID))
	add(text)
	add(r.Receipt.Key(p.OtherID))
	if before, _, found := strings.Cut(p.TLVID, "@"); found {
		add(r.Submit.Key(before))
	}
	return keys
}

// shown is the id that a receipt without a known job is published under.
func (r IDRules) shown(p Parsed) string {
	if p.TLVID != "" {
		return r.Submit.ID(p.TLVID)
	}
	return r.Receipt.ID(p.TextID)
}
