package smpp

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"unicode/utf8"

	"github.com/linxGnu/gosmpp/data"
)

// Sensitivity says who may see a value.
type Sensitivity uint8

// Sensitivities.
const (
	Public  Sensitivity = iota // anybody who operates the route
	Number                     // may be a person's number
	Content                    // may be what a person wrote, or anything else
	Secret                     // a password: nobody
)

// Field is one mandatory parameter under its name in the specification.
type Field struct {
	Name  string
	Value any // uint64, string, Octets or []Fields
	Class Sensitivity
}

// Fields are parameters in wire order. They encode as a JSON object.
type Fields []Field

// MarshalJSON keeps the order.
func (f Fields) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, e := range f {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(e.Name)
		if err != nil {
			return nil, err
		}
		value, err := marshal(e.Value)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, name...), ':'), value...)
	}
	return append(b, '}'), nil
}

// marshal is json.Marshal that leaves <, > and & readable.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// Get returns the value of the first field with the name, nil when there is none.
func (f Fields) Get(name string) any {
	for _, e := range f {
		if e.Name == name {
			return e.Value
		}
	}
	return nil
}

// Octets are binary data. They show as hexadecimal digits.
type Octets []byte

// MarshalText implements encoding.TextMarshaler.
func (o Octets) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, o), nil }

// String returns the hexadecimal digits.
func (o Octets) String() string { return hex.EncodeToString(o) }

// Printable returns octets that should be text as valid UTF-8: others than
// that become \xNN.
func Printable(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, 2*len(b))
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			out = append(out, '\\', 'x', digits[b[0]>>4], digits[b[0]&15])
		} else {
			out = append(out, b[:n]...)
		}
		b = b[n:]
	}
	return string(out)
}

type fieldKind uint8

const (
	fieldOctet fieldKind = iota
	fieldString
	fieldShortMessage // as long as sm_length, which comes before
	fieldDestinations
	fieldUnsuccess
)

type fieldSpec struct {
	name  string
	kind  fieldKind
	class Sensitivity
}

// layout is the body of one command. Commands without fields have no body.
type layout struct {
	name    string
	fields  []fieldSpec
	need    int  // a request that ends within the first so many fields is unreadable
	message bool // carries user data
}

func octet(name string) fieldSpec  { return fieldSpec{name: name} }
func text(name string) fieldSpec   { return fieldSpec{name: name, kind: fieldString} }
func number(name string) fieldSpec { return fieldSpec{name, fieldString, Number} }

func join(groups ...[]fieldSpec) (all []fieldSpec) {
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

// Groups of parameters that several commands share.
var (
	bindFields = []fieldSpec{
		text("system_id"), {"password", fieldString, Secret}, text("system_type"), octet("interface_version"),
		octet("addr_ton"), octet("addr_npi"), number("address_range"),
	}
	serviceType  = []fieldSpec{text("service_type")}
	messageID    = []fieldSpec{text("message_id")}
	sourceFields = []fieldSpec{octet("source_addr_ton"), octet("source_addr_npi"), number("source_addr")}
	destFields   = []fieldSpec{octet("dest_addr_ton"), octet("dest_addr_npi"), number("destination_addr")}
	timeFields   = []fieldSpec{text("schedule_delivery_time"), text("validity_period")}
	bodyFields   = []fieldSpec{octet("sm_default_msg_id"), octet("sm_length"), {"short_message", fieldShortMessage, Content}}
	submitFields = join([]fieldSpec{octet("esm_class"), octet("protocol_id"), octet("priority_flag")}, timeFields,
		[]fieldSpec{octet("registered_delivery"), octet("replace_if_present_flag"), octet("data_coding")}, bodyFields)
	messageFields = join(serviceType, sourceFields, destFields, submitFields)
)

// throughDestination is how many fields of a message come before esm_class.
const throughDestination = 7

// Commands of 5.0 (§4.7.5) that gosmpp does not name.
const (
	cmdBroadcastSM       uint32 = 0x111
	cmdQueryBroadcastSM  uint32 = 0x112
	cmdCancelBroadcastSM uint32 = 0x113
)

// layouts has every command of SMPP 3.4 (§4) and 5.0 (§4).
var layouts = withResponses(map[uint32]layout{
	cmdBindReceiver:    {"bind_receiver", bindFields, len(bindFields), false},
	cmdBindTransmitter: {"bind_transmitter", bindFields, len(bindFields), false},
	cmdBindTransceiver: {"bind_transceiver", bindFields, len(bindFields), false},
	cmdOutbind:         {"outbind", bindFields[:2], 2, false},
	cmdUnbind:          {name: "unbind"},
	cmdEnquireLink:     {name: "enquire_link"},
	cmdSubmitSM:        {"submit_sm", messageFields, throughDestination, true},
	cmdDeliverSM:       {"deliver_sm", messageFields, throughDestination, true},
	cmdDataSM: {"data_sm", join(serviceType, sourceFields, destFields,
		[]fieldSpec{octet("esm_class"), octet("registered_delivery"), octet("data_coding")}), throughDestination, true},
	uint32(data.SUBMIT_MULTI): {"submit_multi", join(serviceType, sourceFields,
		[]fieldSpec{{"dest_address", fieldDestinations, Public}}, submitFields), 5, true},
	uint32(data.QUERY_SM):  {"query_sm", join(messageID, sourceFields), 4, false},
	uint32(data.CANCEL_SM): {"cancel_sm", join(serviceType, messageID, sourceFields, destFields), 8, false},
	uint32(data.REPLACE_SM): {"replace_sm", join(messageID, sourceFields, timeFields,
		[]fieldSpec{octet("registered_delivery")}, bodyFields), 4, true},
	cmdAlertNotification: {"alert_notification", join(sourceFields,
		[]fieldSpec{octet("esme_addr_ton"), octet("esme_addr_npi"), number("esme_addr")}), 6, false},
	cmdBroadcastSM: {"broadcast_sm", join(serviceType, sourceFields, messageID, []fieldSpec{octet("priority_flag")}, timeFields,
		[]fieldSpec{octet("replace_if_present_flag"), octet("data_coding"), octet("sm_default_msg_id")}), 5, true},
	cmdQueryBroadcastSM:  {"query_broadcast_sm", join(messageID, sourceFields), 4, false},
	cmdCancelBroadcastSM: {"cancel_broadcast_sm", join(serviceType, messageID, sourceFields), 5, false},
})

// withResponses adds the responses, of which nothing is needed, and generic_nack.
func withResponses(all map[uint32]layout) map[uint32]layout {
	bodies := map[uint32][]fieldSpec{
		cmdBindReceiver: bindFields[:1], cmdBindTransmitter: bindFields[:1], cmdBindTransceiver: bindFields[:1],
		cmdUnbind: nil, cmdEnquireLink: nil, uint32(data.CANCEL_SM): nil, uint32(data.REPLACE_SM): nil, cmdCancelBroadcastSM: nil,
		cmdSubmitSM: messageID, cmdDeliverSM: messageID, cmdDataSM: messageID, cmdBroadcastSM: messageID, cmdQueryBroadcastSM: messageID,
		uint32(data.SUBMIT_MULTI): append(messageID[:1:1], fieldSpec{"unsuccess_sme", fieldUnsuccess, Public}),
		uint32(data.QUERY_SM):     append(messageID[:1:1], text("final_date"), octet("message_state"), octet("error_code")),
	}
	for id, fields := range bodies {
		all[id|responseBit] = layout{name: all[id].name + "_resp", fields: fields}
	}
	all[cmdGenericNack] = layout{name: "generic_nack"}
	return all
}
