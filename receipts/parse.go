package receipts

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Parsed is what a receipt says. Absent fields are empty or nil. Octets that
// are no UTF-8 are written \xNN; see escape.
type Parsed struct {
	TLVID        string     // receipted_message_id, trimmed
	TextID       string     // id: of the text
	OtherID      string     // a second id: of the text
	State        sms.State  // UNKNOWN when the receipt does not say
	Stat         string     // stat: of the text, as written
	Intermediate bool       // an intermediate notification: more will follow
	FinalByRule  bool       // the route takes State for final, though the specification does not
	Sub, Dlvrd   string     // as written; SMSCs disagree on what they mean
	ErrorCode    string     // err: of the text, as written: digits, hexadecimal or a word
	NetworkError string     // "3:1024": network type and code; raw hexadecimal when malformed
	SubmitDate   *time.Time // UTC unless the receipt names an offset
	DoneDate     *time.Time // may be before SubmitDate: SMSCs mix time zones
	Text         string     // text: of the text
	Raw          string     // user data as received, header and NULs included
}

// Final reports whether the SMSC will say nothing more about the message.
func (p *Parsed) Final() bool { return (p.State.Final() || p.FinalByRule) && !p.Intermediate }

// Parse reads a receipt. It never fails: what cannot be read is left out, and
// Raw has everything. TLVs win over the text (SMPP 3.4 §5.3.2.12, §5.3.2.35).
func Parse(m *sms.Message) Parsed { return usual.Parse(m) }

var usual ReceiptRules

// Parse is Parse for a route.
func (r *ReceiptRules) Parse(m *sms.Message) Parsed {
	octets := allUserData(m)
	id := receiptedID(m)
	nec, _ := m.TLV(sms.TagNetworkError)
	var room [512]byte // not allocated
	b := append(append(room[:0], octets...), id...)
	whole := string(appendNetworkError(b, nec)) // all that is read shares its memory
	body := whole[headerOf(m, octets):len(octets)]
	p := Parsed{
		TLVID:        escape(trim(whole[len(octets):len(b)])),
		NetworkError: whole[len(b):],
		Raw:          escape(whole[:len(octets)]),
		Intermediate: m.ESMClass&sms.ESMClassMask == sms.ESMClassIntermed,
	}
	state, hasState := tlvState(m)
	f := scan(strings.Trim(decodeUCS2(body), "\x00"), !hasState)
	p.TextID, p.Sub, p.Dlvrd, p.ErrorCode = f.word(labelID), f.word(labelSub), f.word(labelDlvrd), f.word(labelErr)
	p.OtherID = f.other()
	p.setDates(f.whole(labelSubmit), f.whole(labelDone))
	p.Stat, p.Text = f.whole(labelStat), f.whole(labelText)
	p.State = state
	if !hasState {
		p.State = r.state(p.Stat)
	}
	p.FinalByRule = slices.Contains(r.Final, p.State)
	return p
}

func (p *Parsed) setDates(submit, done string) {
	s, hasSubmit := leadingDate(submit)
	d, hasDone := leadingDate(done)
	if !hasSubmit && !hasDone {
		return
	}
	both := &[2]time.Time{s, d} // allocated together
	if hasSubmit {
		p.SubmitDate = &both[0]
	}
	if hasDone {
		p.DoneDate = &both[1]
	}
}

// maxIDOctets bounds what is taken of receipted_message_id, which has at most
// 65 octets (SMPP 3.4 §5.3.2.12): with it the largest receipt fits a NATS
// message of 1 MiB.
const maxIDOctets = 1 << 10

// receiptedID is receipted_message_id up to the NUL that ends it. Some SMSCs
// send the whole of their buffer, with what was in it before.
func receiptedID(m *sms.Message) []byte {
	id, _ := m.TLV(sms.TagReceiptedMsgID)
	for len(id) > 0 && isBlank(id[0]) {
		id = id[1:]
	}
	if end := bytes.IndexByte(id, 0); end >= 0 {
		id = id[:end]
	}
	return id[:min(len(id), maxIDOctets)]
}

// allUserData is short_message, or message_payload when that is empty.
func allUserData(m *sms.Message) []byte {
	if len(m.ShortMessage) > 0 {
		return m.ShortMessage
	}
	payload, _ := m.TLV(sms.TagMessagePayload)
	return payload
}

// userData is the text of the message, without a user data header.
func userData(m *sms.Message) []byte {
	all := allUserData(m)
	return all[headerOf(m, all):]
}

// headerOf is the length of the user data header of m.
func headerOf(m *sms.Message, userData []byte) int {
	if m.ESMClass&sms.ESMClassUDHI == 0 {
		return 0
	}
	return headerLen(userData)
}

// headerLen is the length of the user data header at the start of body, 0 when
// there is no well-formed one (3GPP TS 23.040 §9.2.3.24). Some SMSCs copy the
// UDHI bit of the message into its receipt, where no header follows: what
// would be an empty one is then the first octet of UTF-16.
func headerLen(body []byte) int {
	if len(body) == 0 || 1+int(body[0]) > len(body) {
		return 0
	}
	if body[0] == 0 && len(body) > 2 && body[1] != 0 && body[2] == 0 {
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

// appendNetworkError renders network_error_code (SMPP 3.4 §5.3.2.31): one octet
// of network type, two of error code. Some SMSCs put three ASCII digits there.
func appendNetworkError(b, v []byte) []byte {
	switch {
	case len(v) != 3:
		return hex.AppendEncode(b, v)
	case isDigits(string(v)):
		return append(b, v...)
	}
	b = append(strconv.AppendUint(b, uint64(v[0]), 10), ':')
	return strconv.AppendUint(b, uint64(binary.BigEndian.Uint16(v[1:])), 10)
}

// decodeUCS2 returns the body as UTF-8 when it is UTF-16, which shows in where
// its NULs are: data_coding lies in both directions.
func decodeUCS2(body string) string {
	const look = 32
	head := body[:min(len(body), look)&^1]
	units, big, little := 0, 0, 0
	for i := 0; i < len(head); i += 2 {
		if head[i] != 0 || head[i+1] != 0 { // padding tells nothing
			units++
		}
		if head[i] == 0 && head[i+1] != 0 {
			big++
		}
		if head[i] != 0 && head[i+1] == 0 {
			little++
		}
	}
	var order binary.ByteOrder
	switch {
	case units < 4:
		return body
	case 4*big >= 3*units && little == 0:
		order = binary.BigEndian
	case 4*little >= 3*units && big == 0:
		order = binary.LittleEndian
	default:
		return body
	}
	all := make([]uint16, 0, len(body)/2)
	for i := 0; i+1 < len(body); i += 2 {
		all = append(all, order.Uint16([]byte{body[i], body[i+1]}))
	}
	return string(utf16.Decode(all))
}

// escape makes valid UTF-8 of s without losing anything: an octet that is no
// UTF-8 becomes \xNN, two capital hexadecimal digits, and so does a backslash
// (\x5C) before what would look like that. Whoever replaces each \xNN by its
// octet has s again. What is plain, as nearly all is, comes back as it is.
func escape(s string) string {
	if isPlain(s) {
		return s
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(4 * len(s)) // when all of it is escaped
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 || beginsEscape(s) {
			b.Write([]byte{'\\', 'x', digits[s[0]>>4], digits[s[0]&15]})
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// isPlain reports whether escape leaves s as it is. It may say no too often.
func isPlain(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, `\x`) }

func beginsEscape(s string) bool {
	return len(s) >= 4 && s[0] == '\\' && s[1] == 'x' && isCapitalHex(s[2]) && isCapitalHex(s[3])
}

func isCapitalHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }

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
