package receipts

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Parsed is what a receipt says. Absent fields are empty or nil.
type Parsed struct {
	TLVID        string     // receipted_message_id, trimmed; invalid UTF-8 as \xNN escapes
	TextID       string     // id: of the text
	OtherID      string     // a second id: of the text
	State        sms.State  // UNKNOWN when the receipt does not say
	Stat         string     // stat: of the text, as written
	Intermediate bool       // an intermediate notification: more will follow
	Sub, Dlvrd   string     // as written; SMSCs disagree on what they mean
	ErrorCode    string     // err: of the text, as written: digits, hexadecimal or a word
	NetworkError string     // "3:1024": network type and code; raw hexadecimal when malformed
	SubmitDate   *time.Time // UTC unless the receipt names an offset
	DoneDate     *time.Time // may be before SubmitDate: SMSCs mix time zones
	Text         string     // text: of the text; invalid UTF-8 as \xNN escapes
	Raw          string     // user data as received; invalid UTF-8 as \xNN escapes
}

// Final reports whether the SMSC will say nothing more about the message.
func (p *Parsed) Final() bool { return p.State.Final() && !p.Intermediate }

// IsReceipt reports whether m is a delivery receipt or an intermediate
// notification: by the message type bits of esm_class (SMPP 3.4 §5.2.12), or
// because it carries a TLV that only receipts have. SME acknowledgements are
// messages from a mobile and so are not receipts.
func IsReceipt(m *sms.Message) bool {
	switch m.ESMClass & sms.ESMClassMask {
	case sms.ESMClassReceipt, sms.ESMClassIntermed:
		return true
	}
	if _, ok := m.TLV(sms.TagReceiptedMsgID); ok {
		return true
	}
	_, ok := m.TLV(sms.TagMessageState)
	return ok
}

// Parse reads a receipt. It never fails: what cannot be read is left out, and
// Raw has everything. TLVs win over the text (SMPP 3.4 §5.3.2.12, §5.3.2.35).
func Parse(m *sms.Message) Parsed {
	body := string(userData(m)) // what is read from it shares its memory
	p := Parsed{
		Raw:          escape(strings.TrimRight(body, "\x00")),
		Intermediate: m.ESMClass&sms.ESMClassMask == sms.ESMClassIntermed,
	}
	if id, ok := m.TLV(sms.TagReceiptedMsgID); ok {
		p.TLVID = escape(trim(string(id)))
	}
	state, hasState := tlvState(m)
	f := scan(strings.Trim(decodeUCS2(body), "\x00"), !hasState)
	p.TextID, p.Sub, p.Dlvrd, p.ErrorCode = f.word(labelID), f.word(labelSub), f.word(labelDlvrd), f.word(labelErr)
	p.OtherID = f.other
	p.SubmitDate, p.DoneDate = ParseDate(f.whole(labelSubmit)), ParseDate(f.whole(labelDone))
	p.Stat, p.Text = f.whole(labelStat), f.whole(labelText)
	p.State = state
	if !hasState {
		p.State = statState(p.Stat)
	}
	if nec, ok := m.TLV(sms.TagNetworkError); ok {
		p.NetworkError = networkError(nec)
	}
	return p
}

// userData is the text of the message: short_message, or message_payload when
// that is empty, without a user data header.
func userData(m *sms.Message) []byte {
	body := m.ShortMessage
	if len(body) == 0 {
		body, _ = m.TLV(sms.TagMessagePayload)
	}
	if m.ESMClass&sms.ESMClassUDHI != 0 {
		return body[headerLen(body):]
	}
	return body
}

// headerLen is the length of the user data header at the start of body, 0 when
// there is no well-formed one (3GPP TS 23.040 §9.2.3.24). Some SMSCs copy the
// UDHI bit of the message into its receipt, where no header follows.
func headerLen(body []byte) int {
	if len(body) == 0 || 1+int(body[0]) > len(body) {
		return 0
	}
	end := 1 + int(body[0])
	for at := 1; at < end; {
		if at+2 > end {
			return 0
		}
		at += 2 + int(body[at+1])
		if at > end {
			return 0
		}
	}
	return end
}

// tlvState reads message_state; a value outside the specification counts as absent.
func tlvState(m *sms.Message) (sms.State, bool) {
	v, ok := m.TLV(sms.TagMessageState)
	if !ok || len(v) != 1 || int(v[0]) >= len(messageStates) {
		return "", false
	}
	return messageStates[v[0]], true
}

// messageStates is indexed by message_state (SMPP 3.4 §5.2.28; 0 and 9 are of 5.0 §4.7.15).
var messageStates = [...]sms.State{
	sms.StateScheduled, sms.StateEnroute, sms.StateDelivered, sms.StateExpired, sms.StateDeleted,
	sms.StateUndeliverable, sms.StateAccepted, sms.StateUnknown, sms.StateRejected, sms.StateSkipped,
}

// statPrefixes maps what SMSCs write after stat:, in lower case. Appendix B abbreviates to
// seven letters; many write the word out, or misspell it.
var statPrefixes = []struct {
	prefix string
	state  sms.State
}{
	{"deliv", sms.StateDelivered},
	{"undel", sms.StateUndeliverable},
	{"fail", sms.StateUndeliverable},
	{"exp", sms.StateExpired},
	{"delet", sms.StateDeleted},
	{"rej", sms.StateRejected},
	{"dnd", sms.StateRejected},
	{"acked", sms.StateEnroute},
	{"acc", sms.StateAccepted},
	{"enr", sms.StateEnroute},
	{"buf", sms.StateEnroute},
	{"sched", sms.StateScheduled},
	{"skip", sms.StateSkipped},
}

func statState(stat string) sms.State {
	for _, p := range statPrefixes {
		if len(stat) >= len(p.prefix) && equalFoldASCII(stat[:len(p.prefix)], p.prefix) {
			return p.state
		}
	}
	return sms.StateUnknown
}

// networkError renders network_error_code (SMPP 3.4 §5.3.2.31): one octet of
// network type, two of error code. Some SMSCs put three ASCII digits there.
func networkError(v []byte) string {
	if len(v) != 3 {
		return hex.EncodeToString(v)
	}
	if isDigits(string(v)) {
		return string(v)
	}
	return strconv.Itoa(int(v[0])) + ":" + strconv.Itoa(int(binary.BigEndian.Uint16(v[1:])))
}

// decodeUCS2 returns the body as UTF-8 when it is UTF-16, which shows in where
// its NULs are: data_coding lies in both directions.
func decodeUCS2(body string) string {
	const look = 32
	head := body[:min(len(body), look)&^1]
	var zeros [2]int
	for i := range len(head) {
		if head[i] == 0 {
			zeros[i&1]++
		}
	}
	var order binary.ByteOrder
	switch most := len(head) * 3 / 8; { // three quarters of the units
	case len(head) < 8:
		return body
	case zeros[0] >= most && zeros[1] == 0:
		order = binary.BigEndian
	case zeros[1] >= most && zeros[0] == 0:
		order = binary.LittleEndian
	default:
		return body
	}
	units := make([]uint16, 0, len(body)/2)
	for i := 0; i+1 < len(body); i += 2 {
		units = append(units, order.Uint16([]byte{body[i], body[i+1]}))
	}
	return string(utf16.Decode(units))
}

// escape makes valid UTF-8 of s: other octets become \xNN. What is valid, as
// nearly all is, comes back as it is.
func escape(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, 2*len(s))
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			b = append(b, '\\', 'x', digits[s[0]>>4], digits[s[0]&15])
		} else {
			b = append(b, s[:n]...)
		}
		s = s[n:]
	}
	return string(b)
}

// trim takes blanks and NULs off both ends.
func trim(s string) string {
	for s != "" && isBlank(s[0]) {
		s = s[1:]
	}
	for s != "" && isBlank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0 }

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
