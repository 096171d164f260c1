package smsctest

import (
	"strconv"
	"strings"
	"time"
)

// messageStates are the stat values of Appendix B with their message_state
// (SMPP 3.4 §5.2.28; SCHEDLD and SKIPPED are of 5.0) and the error code that
// the simulator gives with them, a GSM cause in decimal.
var messageStates = map[string]struct {
	state byte
	err   uint16
}{
	"SCHEDLD": {state: 0},
	"ENROUTE": {state: 1},
	"DELIVRD": {state: 2},
	"EXPIRED": {state: 3, err: 27}, // absent subscriber
	"DELETED": {state: 4},
	"UNDELIV": {state: 5, err: 1}, // unknown subscriber
	"ACCEPTD": {state: 6},
	"UNKNOWN": {state: 7},
	"REJECTD": {state: 8, err: 13}, // call barred
	"SKIPPED": {state: 9},
}

// Bits of registered_delivery (SMPP 3.4 §5.2.17; success only is of 5.0).
const (
	receiptMask         = 0x03
	receiptBoth         = 0x01
	receiptFailureOnly  = 0x02
	receiptSuccessOnly  = 0x03
	receiptIntermediate = 0x10
)

// wanted says whether registered_delivery asks for a receipt of this state.
func wanted(registered uint8, r Receipt) bool {
	if r.Intermediate {
		return registered&receiptIntermediate != 0
	}
	switch registered & receiptMask {
	case receiptBoth:
		return true
	case receiptFailureOnly:
		return r.State != "DELIVRD"
	case receiptSuccessOnly:
		return r.State == "DELIVRD"
	default:
		return false
	}
}

// receipts says which receipts follow a submit_sm that was taken in.
func (c *conn) receipts(m *Submit, a *Action) []Receipt {
	if a.NoReceipt {
		return nil
	}
	if a.Receipts == nil {
		return c.askedReceipts(m)
	}
	out := make([]Receipt, 0, len(a.Receipts))
	for _, r := range a.Receipts {
		setDefault(&r.State, "DELIVRD")
		if !a.ifAsked || !c.s.cfg.Receipts.Off && wanted(m.RegisteredDelivery, r) {
			out = append(out, r)
		}
	}
	return out
}

func (c *conn) askedReceipts(m *Submit) []Receipt {
	cfg := &c.s.cfg.Receipts
	if cfg.Off || m.RegisteredDelivery&(receiptMask|receiptIntermediate) == 0 {
		return nil
	}
	delay := c.jittered(cfg.Delay, cfg.Jitter)
	final := Receipt{Delay: delay, Before: cfg.Before, State: c.drawState()}
	var out []Receipt
	if m.RegisteredDelivery&receiptIntermediate != 0 {
		out = append(out, Receipt{Delay: delay / 2, Before: cfg.Before, State: "ENROUTE", Intermediate: true})
	}
	if wanted(m.RegisteredDelivery, final) {
		out = append(out, final)
		if c.draw(cfg.Duplicates) {
			out = append(out, final)
		}
	}
	return out
}

func (c *conn) drawState() string {
	states := c.s.cfg.Receipts.States
	if len(states) == 0 {
		return "DELIVRD"
	}
	x := c.rng.Float64() * c.s.weights
	for _, s := range states {
		if x -= s.Weight; x < 0 {
			return s.State
		}
	}
	return states[len(states)-1].State
}

func (c *conn) jittered(d, jitter time.Duration) time.Duration {
	if jitter > 0 {
		d += time.Duration(c.rng.Int64N(int64(jitter) + 1))
	}
	return d
}

// newReceipt builds the delivery for one receipt of m.
func (c *conn) newReceipt(m *Submit, r Receipt) *delivery {
	kind := KindReceipt
	if r.Intermediate {
		kind = KindIntermediate
	}
	id := m.MessageID
	if r.ID != "" {
		id = r.ID
	}
	d := &delivery{
		rec: Delivery{
			Kind: kind, MessageID: m.MessageID, SystemID: m.SystemID, State: r.State,
			Source: m.Destination, Destination: m.Source, Created: m.Time,
		},
		acct:      c.acct,
		from:      c,
		commandID: DeliverSM,
	}
	d.body = c.receiptBody(m, r, id)
	if r.DataSM {
		d.commandID = DataSM
	}
	return d
}

// receiptBody writes the mandatory parameters of deliver_sm (SMPP 3.4 §4.6.1)
// or data_sm (§4.7.1) and the TLVs.
func (c *conn) receiptBody(m *Submit, r Receipt, id string) []byte {
	cfg := &c.s.cfg.Receipts
	var text []byte
	switch {
	case r.Text != "":
		text = []byte(r.Text)
	case cfg.Format != FormatTLV:
		text = c.receiptText(m, r, id)
	}
	esm := byte(0x04)
	if r.Intermediate {
		esm = 0x20
	}
	b := make([]byte, 0, 96+len(text)+len(id)+len(m.Source)+len(m.Destination))
	b = append(b, 0, m.DestTON, m.DestNPI)
	b = AppendCString(b, m.Destination)
	b = append(b, m.SourceTON, m.SourceNPI)
	b = AppendCString(b, m.Source)
	b = append(b, esm)
	if r.DataSM {
		b = append(b, 0, 0) // registered_delivery, data_coding
		b = AppendTLV(b, TagMessagePayload, text)
	} else {
		text = text[:min(len(text), 254)]
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, byte(len(text))) // protocol_id to sm_default_msg_id
		b = append(b, text...)
	}
	if r.TLVs != nil {
		for _, t := range r.TLVs {
			b = AppendTLV(b, t.Tag, t.Value)
		}
		return b
	}
	if cfg.Format == FormatText {
		return b
	}
	return appendReceiptTLVs(b, r, id)
}

func appendReceiptTLVs(b []byte, r Receipt, id string) []byte {
	b = AppendTLV(b, TagReceiptedMessageID, append([]byte(id), 0))
	st, known := messageStates[r.State]
	if !known {
		return b
	}
	b = AppendTLV(b, TagMessageState, []byte{st.state})
	code := st.err
	if r.Err != "" {
		n, err := strconv.ParseUint(r.Err, 10, 16)
		if err != nil {
			return b
		}
		code = uint16(n)
	}
	if code != 0 {
		b = AppendTLV(b, TagNetworkErrorCode, []byte{3, byte(code >> 8), byte(code)}) // 3: GSM
	}
	return b
}

// receiptText writes the text of Appendix B.
func (c *conn) receiptText(m *Submit, r Receipt, id string) []byte {
	cfg := &c.s.cfg.Receipts
	if r.ID == "" && m.num != 0 {
		id = c.s.cfg.IDs.Receipt.Format(m.num)
	}
	errCode := r.Err
	if errCode == "" {
		errCode = pad3(messageStates[r.State].err)
	}
	dlvrd := "000"
	if r.State == "DELIVRD" {
		dlvrd = "001"
	}
	b := make([]byte, 0, 160)
	b = append(append(b, "id:"...), id...)
	b = append(append(b, " sub:001 dlvrd:"...), dlvrd...)
	b = m.Time.UTC().AppendFormat(append(b, " submit date:"...), cfg.DateLayout)
	b = m.Time.UTC().Add(r.Delay).AppendFormat(append(b, " done date:"...), cfg.DateLayout)
	b = append(append(b, " stat:"...), r.State...)
	b = append(append(b, " err:"...), errCode...)
	b = append(b, " text:"...)
	return append(b, echo(m, cfg.Echo)...)
}

// echo is the beginning of the message; UCS-2 is narrowed, since Appendix B
// text has one alphabet.
func echo(m *Submit, octets int) []byte {
	if octets <= 0 {
		return nil
	}
	_, ud := m.UserData()
	if m.DataCoding != 8 {
		return ud[:min(len(ud), octets)]
	}
	out := make([]byte, 0, octets)
	for i := 0; i+1 < len(ud) && len(out) < octets; i += 2 {
		if ch := ud[i+1]; ud[i] == 0 && ch >= ' ' && ch < 0x7F {
			out = append(out, ch)
		} else {
			out = append(out, '?')
		}
	}
	return out
}

func pad3(n uint16) string {
	s := strconv.Itoa(int(n))
	return strings.Repeat("0", max(0, 3-len(s))) + s
}
