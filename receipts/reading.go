package receipts

import (
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Kind says what a text that reads like a receipt is.
type Kind string

// Kinds. A worker takes the first two for receipts, and all others for
// messages from a mobile.
const (
	KindReceipt      Kind = "receipt"
	KindIntermediate Kind = "intermediate"
	KindSMEAck       Kind = "sme_delivery_ack"
	KindUserAck      Kind = "sme_user_ack"
	KindUntyped      Kind = "untyped" // esm_class and TLVs say nothing, the text begins like one
)

// Reading is a receipt with what Parsed does not tell apart: a field that is
// absent (nil) from one that is there and empty.
type Reading struct {
	Parsed
	Kind       Kind
	Body       string // all of the user data, without header and the NULs around, UTF-16 read
	Sub        *string
	Dlvrd      *string
	Stat       *string
	ErrorCode  *string
	Text       *string // nil also when it is no UTF-8
	TextOctets []byte  // text: as received, when it is no UTF-8 or has control characters: binary, or UTF-16 inside ASCII
}

// Read reads a message for people. It is not ok when neither esm_class nor a
// TLV says that m is a receipt and its text does not begin like one.
func Read(m *sms.Message) (r Reading, ok bool) { return usual.Read(m) }

// Read is Read for a route.
func (r *ReceiptRules) Read(m *sms.Message) (got Reading, ok bool) {
	kind := kindOf(m)
	body := strings.Trim(decodeUCS2(string(userData(m))), "\x00")
	_, hasState := tlvState(m)
	f := scan(body, !hasState)
	if kind != KindReceipt && kind != KindIntermediate && !beginsLikeReceipt(&f) {
		return Reading{}, false
	}
	if r.Untyped && !IsReceipt(m) {
		kind = KindReceipt
	}
	got = Reading{Parsed: r.Parse(m), Kind: kind, Body: f.escape(body)}
	there := func(l label, v string) *string {
		if f.start[l] == 0 {
			return nil
		}
		return &v
	}
	got.Sub, got.Dlvrd = there(labelSub, got.Parsed.Sub), there(labelDlvrd, got.Parsed.Dlvrd)
	got.Stat, got.ErrorCode = there(labelStat, got.Parsed.Stat), there(labelErr, got.Parsed.ErrorCode)
	got.Text = there(labelText, got.Parsed.Text)
	if got.Text != nil {
		raw := f.body[f.start[labelText]:f.end[labelText]]
		if !isText(trim(raw)) {
			got.TextOctets = []byte(raw)
		}
		if !utf8.ValidString(raw) {
			got.Text = nil
		}
	}
	return got, true
}

func kindOf(m *sms.Message) Kind {
	switch m.ESMClass & sms.ESMClassMask {
	case sms.ESMClassReceipt:
		return KindReceipt
	case sms.ESMClassIntermed:
		return KindIntermediate
	}
	if IsReceipt(m) {
		return KindReceipt
	}
	switch m.ESMClass & sms.ESMClassMask {
	case sms.ESMClassSMEAck:
		return KindSMEAck
	case sms.ESMClassManualAck:
		return KindUserAck
	}
	return KindUntyped
}

// beginsLikeReceipt reports whether the text begins with a label and has an
// id and a state. Whoever writes "id: 5" to a friend has not sent a receipt.
func beginsLikeReceipt(f *fields) bool {
	at := len(f.body) - len(strings.TrimLeft(f.body, " \t\r\n"))
	if at == len(f.body) || f.start[labelID] == 0 || f.start[labelStat] == 0 {
		return false
	}
	_, n := labelAt(f.body, at)
	return n > 0
}

// isText reports whether s is UTF-8 without control characters.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\r' && r != '\n'
	})
}

// MessageID returns the id as written: receipted_message_id, else that of the
// text, empty when there is none.
func (p *Parsed) MessageID() string {
	if p.TLVID != "" {
		return p.TLVID
	}
	return p.TextID
}

// IDs returns the ids behind [IDRules.Candidates], in the same order and with
// the case they were written in.
func (r IDRules) IDs(p Parsed) []string {
	if r.Submit == IDAuto {
		return AnyNotation(p)
	}
	var ids idList
	text := r.Receipt.id(p.TextID)
	if p.TLVID != "" && r.Submit != r.Receipt && r.Receipt.key(p.TLVID) == r.Receipt.key(p.TextID) {
		ids.add(text)
	}
	ids.add(r.Submit.id(p.TLVID))
	ids.add(text)
	if r.readAsSubmit(p.TextID) {
		ids.add(r.Submit.id(p.TextID))
	}
	ids.add(r.Receipt.id(p.OtherID))
	if before, _, found := strings.Cut(p.TLVID, "@"); found {
		ids.add(r.Submit.id(before))
	}
	return ids
}

// ShownID returns the id that a receipt without a known job is published under.
func (r IDRules) ShownID(p Parsed) string { return r.shown(p) }

// AnyNotation returns every id that the job of a receipt may be known under
// when it is not known how the SMSC writes ids, the likeliest first: as
// written, then the text's number in hexadecimal and in decimal, then without
// leading zeros, then the TLV up to its "@".
func AnyNotation(p Parsed) []string {
	var ids idList
	ids.add(p.TLVID)
	ids.add(p.TextID)
	ids.add(p.OtherID)
	ids.add(renumber(p.TextID, 10, 16, 20))
	ids.add(renumber(strings.TrimPrefix(p.TextID, "0x"), 16, 10, 16))
	ids.add(strings.TrimLeft(p.TextID, "0"))
	if before, _, found := strings.Cut(p.TLVID, "@"); found {
		ids.add(before)
	}
	return ids
}

// renumber writes a number of at most most digits in another base, empty when
// id is none.
func renumber(id string, from, to, most int) string {
	if id == "" || len(strings.TrimLeft(id, "0")) > most || strings.ContainsAny(id, "+-_") {
		return ""
	}
	n, ok := new(big.Int).SetString(id, from)
	if !ok {
		return ""
	}
	return strings.ToUpper(n.Text(to))
}

// idList keeps ids once each; case does not tell them apart.
type idList []string

func (l *idList) add(id string) {
	if id != "" && !slices.ContainsFunc(*l, func(have string) bool { return strings.EqualFold(have, id) }) {
		*l = append(*l, id)
	}
}
