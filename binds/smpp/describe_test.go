package smpp

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// wirePDU makes a PDU of a body.
func wirePDU(command, status, sequence uint32, body ...string) []byte {
	whole := strings.Join(body, "")
	b := binary.BigEndian.AppendUint32(nil, uint32(headerOctets+len(whole)))
	b = binary.BigEndian.AppendUint32(b, command)
	b = binary.BigEndian.AppendUint32(b, status)
	return append(binary.BigEndian.AppendUint32(b, sequence), whole...)
}

const (
	wireSource = "\x01\x01447700900123\x00"
	wireDest   = "\x05\x00SHOP\x00"
	jsonSource = `"source_addr_ton":1,"source_addr_npi":1,"source_addr":"447700900123"`
	jsonDest   = `"dest_addr_ton":5,"dest_addr_npi":0,"destination_addr":"SHOP"`
	wireSubmit = "\x40\x00\x01" + "260301120000000+\x00" + "\x00" + "\x01\x00\x04\x00\x03\x05\x06\x07"
	jsonSubmit = `"esm_class":64,"protocol_id":0,"priority_flag":1,"schedule_delivery_time":"260301120000000+","validity_period":"",` +
		`"registered_delivery":1,"replace_if_present_flag":0,"data_coding":4,"sm_default_msg_id":0,"sm_length":3,"short_message":"050607"`
	wireMessage = "CMT\x00" + wireSource + wireDest + wireSubmit
	jsonMessage = `{"service_type":"CMT",` + jsonSource + "," + jsonDest + "," + jsonSubmit + "}"
	jsonID      = `{"message_id":"7Q2"}`
)

// shapes has one PDU of every command of SMPP 3.4 and 5.0.
var shapes = []struct {
	command uint32
	name    string
	body    string
	fields  string
}{
	{0x00000001, "bind_receiver", "acme\x00pw\x00VMS\x00\x34\x01\x01^447\x00", `{"system_id":"acme","password":"pw","system_type":"VMS","interface_version":52,"addr_ton":1,"addr_npi":1,"address_range":"^447"}`},
	{0x00000002, "bind_transmitter", "acme\x00\x00\x00\x50\x00\x00\x00", `{"system_id":"acme","password":"","system_type":"","interface_version":80,"addr_ton":0,"addr_npi":0,"address_range":""}`},
	{0x00000009, "bind_transceiver", "acme\x00\x00\x00\x33\x00\x00\x00", `{"system_id":"acme","password":"","system_type":"","interface_version":51,"addr_ton":0,"addr_npi":0,"address_range":""}`},
	{0x80000001, "bind_receiver_resp", "SMSC\x00", `{"system_id":"SMSC"}`},
	{0x80000002, "bind_transmitter_resp", "SMSC\x00", `{"system_id":"SMSC"}`},
	{0x80000009, "bind_transceiver_resp", "SMSC\x00", `{"system_id":"SMSC"}`},
	{0x0000000B, "outbind", "SMSC\x00pw\x00", `{"system_id":"SMSC","password":"pw"}`},
	{0x00000006, "unbind", "", "{}"},
	{0x80000006, "unbind_resp", "", "{}"},
	{0x00000015, "enquire_link", "", "{}"},
	{0x80000015, "enquire_link_resp", "", "{}"},
	{0x80000000, "generic_nack", "", "{}"},
	{0x00000004, "submit_sm", wireMessage, jsonMessage},
	{0x80000004, "submit_sm_resp", "7Q2\x00", jsonID},
	{0x00000005, "deliver_sm", wireMessage, jsonMessage},
	{0x80000005, "deliver_sm_resp", "\x00", `{"message_id":""}`},
	{0x00000103, "data_sm", "\x00" + wireSource + wireDest + "\x04\x01\x08", `{"service_type":"",` + jsonSource + "," + jsonDest + `,"esm_class":4,"registered_delivery":1,"data_coding":8}`},
	{0x80000103, "data_sm_resp", "7Q2\x00", jsonID},
	{0x00000021, "submit_multi", "\x00" + wireSource + "\x02\x01" + wireDest + "\x02staff\x00" + wireSubmit,
		`{"service_type":"",` + jsonSource + `,"dest_address":[{"dest_flag":1,` + jsonDest + `},{"dest_flag":2,"dl_name":"staff"}],` + jsonSubmit + "}"},
	{0x80000021, "submit_multi_resp", "7Q2\x00\x01" + wireDest + "\x00\x00\x00\x0b", `{"message_id":"7Q2","unsuccess_sme":[{` + jsonDest + `,"error_status_code":11}]}`},
	{0x00000003, "query_sm", "7Q2\x00" + wireSource, `{"message_id":"7Q2",` + jsonSource + "}"},
	{0x80000003, "query_sm_resp", "7Q2\x00\x00\x02\x07", `{"message_id":"7Q2","final_date":"","message_state":2,"error_code":7}`},
	{0x00000008, "cancel_sm", "CMT\x007Q2\x00" + wireSource + wireDest, `{"service_type":"CMT","message_id":"7Q2",` + jsonSource + "," + jsonDest + "}"},
	{0x80000008, "cancel_sm_resp", "", "{}"},
	{0x00000007, "replace_sm", "7Q2\x00" + wireSource + "\x00\x00\x01\x00\x02hi", `{"message_id":"7Q2",` + jsonSource + `,"schedule_delivery_time":"","validity_period":"","registered_delivery":1,"sm_default_msg_id":0,"sm_length":2,"short_message":"6869"}`},
	{0x80000007, "replace_sm_resp", "", "{}"},
	{0x00000102, "alert_notification", wireSource + "\x05\x00SHOP\x00", `{` + jsonSource + `,"esme_addr_ton":5,"esme_addr_npi":0,"esme_addr":"SHOP"}`},
	{0x00000111, "broadcast_sm", "\x00" + wireSource + "7Q2\x00\x01\x00\x00\x00\x08\x00", `{"service_type":"",` + jsonSource + `,"message_id":"7Q2","priority_flag":1,"schedule_delivery_time":"","validity_period":"","replace_if_present_flag":0,"data_coding":8,"sm_default_msg_id":0}`},
	{0x80000111, "broadcast_sm_resp", "7Q2\x00", jsonID},
	{0x00000112, "query_broadcast_sm", "7Q2\x00" + wireSource, `{"message_id":"7Q2",` + jsonSource + "}"},
	{0x80000112, "query_broadcast_sm_resp", "7Q2\x00", jsonID},
	{0x00000113, "cancel_broadcast_sm", "\x007Q2\x00" + wireSource, `{"service_type":"","message_id":"7Q2",` + jsonSource + "}"},
	{0x80000113, "cancel_broadcast_sm_resp", "", "{}"},
}

func TestEveryCommandIsDescribedFieldByField(t *testing.T) {
	t.Parallel()
	if len(shapes) != len(layouts) {
		t.Errorf("%d commands are tested, %d are known", len(shapes), len(layouts))
	}
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			d, err := Describe(wirePDU(s.command, 0, 0x806A179B, s.body))
			if err != nil {
				t.Fatal(err)
			}
			fields, err := json.Marshal(d.Fields)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s.fields, string(fields)); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			d.Fields, d.Message = nil, nil
			want := Description{Command: s.name, CommandID: s.command, Length: uint32(headerOctets + len(s.body)), Sequence: 0x806A179B}
			if diff := cmp.Diff(want, d); diff != "" {
				t.Errorf("the rest (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAPDUCutShortSaysWhereAndWhatCameBefore(t *testing.T) {
	t.Parallel()
	for _, s := range shapes {
		whole := wirePDU(s.command, 0, 1, s.body)
		for n := range whole {
			d, err := Describe(whole[:n])
			var at *OffsetError
			if !errors.As(err, &at) || at.Offset != n || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%s cut at %d: %v", s.name, n, err)
			}
			if n >= headerOctets && d.Command != s.name {
				t.Fatalf("%s cut at %d: %+v", s.name, n, d)
			}
		}
	}
}

func TestOddPDUsAreReadAndNoted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		pdu    []byte
		fields string
		faults []Fault
		err    string
	}{
		"error response without a body":   {wirePDU(cmdSubmitSMResp, 0x0B, 1), "{}", nil, ""},
		"acceptance without a body":       {wirePDU(cmdSubmitSMResp, 0, 1), "{}", []Fault{{16, "no body: message_id is missing"}}, ""},
		"id without its NUL":              {wirePDU(cmdSubmitSMResp, 0, 1, "9"), `{"message_id":"9"}`, []Fault{{16, "message_id has no closing NUL"}}, ""},
		"id that is no UTF-8":             {wirePDU(cmdSubmitSMResp, 0, 1, "\xfc1\x00"), `{"message_id":"\\xFC1"}`, nil, ""},
		"body where none belongs":         {wirePDU(cmdEnquireLink, 0, 1, "\x07"), `{"body":"07"}`, []Fault{{16, "enquire_link has no body, 1 octets are there"}}, ""},
		"unknown command":                 {wirePDU(0x110, 0, 1, "\x07"), `{"body":"07"}`, []Fault{{4, "no command has the id 0x00000110"}}, ""},
		"padding after the last field":    {wirePDU(cmdSubmitSMResp, 0, 1, "9\x00\x00\x00"), `{"message_id":"9"}`, []Fault{{18, "2 octets after the last parameter are too few for a TLV"}}, ""},
		"body that ends in the address":   {wirePDU(cmdDeliverSM, 0, 1, "\x00"+wireSource+"\x01"), `{"service_type":"",` + jsonSource + `,"dest_addr_ton":1}`, nil, "at octet 33: body ends before dest_addr_npi"},
		"body that ends after it":         {wirePDU(cmdDeliverSM, 0, 1, "\x00"+wireSource+wireDest), `{"service_type":"",` + jsonSource + "," + jsonDest + "}", []Fault{{39, "body ends before esm_class"}}, ""},
		"destination of an unknown kind":  {wirePDU(0x21, 0, 1, "\x00"+wireSource+"\x01\x09"), `{"service_type":"",` + jsonSource + `,"dest_address":[{"dest_flag":9}]}`, []Fault{{33, "dest_flag is 9, must be 1 or 2"}}, "at octet 34: dest_address is cut short"},
		"list of refusals that is a lie":  {wirePDU(0x80000021, 0, 1, "7\x00\x05"), `{"message_id":"7","unsuccess_sme":[{"dest_addr_ton":0,"dest_addr_npi":0,"destination_addr":"","error_status_code":0}]}`, []Fault{{18, "unsuccess_sme is cut short"}}, ""},
		"octets that follow the last PDU": {append(wirePDU(cmdEnquireLink, 0, 1), 1, 2), "{}", []Fault{{16, "2 octets follow the PDU"}}, ""},
		"length out of all proportion":    {[]byte("\xF0\x00\x00\x11\x00\x00\x00\x15\x00\x00\x00\x00\x00\x00\x00\x01"), "{}", nil, "at octet 0: command_length out of range: 4026531857, must be 16..131072"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := Describe(tc.pdu)
			if got := fmt.Sprint(err); got != tc.err && (err != nil || tc.err != "") {
				t.Errorf("error %q, want %q", got, tc.err)
			}
			fields, _ := json.Marshal(d.Fields)
			if diff := cmp.Diff(tc.fields, string(fields)); diff != "" && (d.Fields != nil || tc.fields != "{}") {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.faults, d.Faults); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTLVsAreReadByTheirType(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		wire string
		name string
		want any
		odd  string
	}{
		{"\x04\x27\x00\x01\x02", "message_state", uint64(2), ""},
		{"\x04\x27\x00\x02\x02\x00", "message_state", Octets{2, 0}, "message_state has 2 octets, should have 1"},
		{"\x04\x28\x00\x01\x5a", "congestion_state", uint64(90), ""},
		{"\x00\x1e\x00\x03a1\x00", "receipted_message_id", "a1", ""},
		{"\x00\x1e\x00\x02a1", "receipted_message_id", "a1", ""},
		{"\x00\x1e\x00\x41a1\x00", "receipted_message_id", "a1", "receipted_message_id declares 65 octets, 3 are left"},
		{"\x00\x1e\x00\x00", "receipted_message_id", "", ""},
		{"\x04\x23\x00\x03\x03\x04\x00", "network_error_code", Fields{{"network_type", uint64(3), Public}, {"error_code", uint64(1024), Public}}, ""},
		{"\x04\x23\x00\x03069", "network_error_code", "069", ""},
		{"\x04\x23\x00\x01\x07", "network_error_code", Octets{7}, "network_error_code has 1 octets, should have 3"},
		{"\x12\x04\x00\x04\x00\x00\x00\x09", "ms_validity", uint64(9), ""},
		{"\x13\x0c\x00\x00", "alert_on_message_delivery", true, ""},
		{"\x04\x24\x00\x00", "message_payload", Octets{}, ""},
		{"\x14\x54\x00\x02\x00\x01", "vendor_0x1454", Octets{0, 1}, ""},
		{"\x10\x02\x00\x01\x34", "unknown_0x1002", Octets{0x34}, ""},
	} {
		d, err := Describe(wirePDU(cmdSubmitSMResp, 0, 1, "7\x00", tc.wire))
		if err != nil || len(d.TLVs) != 1 {
			t.Fatalf("%x: %v, %+v", tc.wire, err, d)
		}
		if diff := cmp.Diff(tc.want, d.TLVs[0].Value); diff != "" || d.TLVs[0].Name != tc.name {
			t.Errorf("%x: %s (-want +got):\n%s", tc.wire, d.TLVs[0].Name, diff)
		}
		odd := ""
		for _, f := range d.Faults {
			odd += f.Reason
		}
		if odd != tc.odd {
			t.Errorf("%x: %q is noted, want %q", tc.wire, odd, tc.odd)
		}
	}
}

func TestUserDataIsTakenApart(t *testing.T) {
	t.Parallel()
	sar := []sms.TLV{{Tag: sms.TagSarMsgRefNum, Value: []byte{1, 2}}, {Tag: sms.TagSarTotalSegs, Value: []byte{3}}, {Tag: sms.TagSarSegmentSeq, Value: []byte{2}}}
	for name, tc := range map[string]struct {
		m      sms.Message
		body   string
		concat *Concatenation
		err    error
	}{
		"no header":        {sms.Message{ShortMessage: []byte("hi")}, "hi", nil, nil},
		"8-bit reference":  {sms.Message{ESMClass: 0x40, ShortMessage: []byte("\x05\x00\x03\x09\x03\x01hi")}, "hi", &Concatenation{"udh8", 9, 3, 1}, nil},
		"16-bit reference": {sms.Message{ESMClass: 0x40, ShortMessage: []byte("\x06\x08\x04\x01\x02\x03\x01hi")}, "hi", &Concatenation{"udh16", 258, 3, 1}, nil},
		"after ports":      {sms.Message{ESMClass: 0x40, ShortMessage: []byte("\x0b\x05\x04\x0b\x84\x23\xf0\x00\x03\x09\x03\x01hi")}, "hi", &Concatenation{"udh8", 9, 3, 1}, nil},
		"sar TLVs":         {sms.Message{ShortMessage: []byte("hi"), TLVs: sar}, "hi", &Concatenation{"sar", 258, 3, 2}, nil},
		"in the payload":   {sms.Message{ESMClass: 0x40, TLVs: []sms.TLV{{Tag: sms.TagMessagePayload, Value: []byte("\x05\x00\x03\x09\x03\x01hi")}}}, "hi", &Concatenation{"udh8", 9, 3, 1}, nil},
		"header too long":  {sms.Message{ESMClass: 0x40, ShortMessage: []byte("\x09\x00\x03hi")}, "\x09\x00\x03hi", nil, errHeader},
		"element too long": {sms.Message{ESMClass: 0x40, ShortMessage: []byte("\x03\x00\x09\x01hi")}, "\x03\x00\x09\x01hi", nil, errHeader},
	} {
		u, err := ReadUserData(&tc.m)
		if !errors.Is(err, tc.err) || string(u.Body) != tc.body {
			t.Errorf("%s: body %q, error %v", name, u.Body, err)
		}
		if diff := cmp.Diff(tc.concat, u.Concat); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What a description says of a message is what a session would hand on.
func FuzzDescribe(f *testing.F) {
	for _, s := range shapes {
		f.Add(wirePDU(s.command, 0, 1, s.body))
	}
	f.Add(wirePDU(cmdDeliverSM, 0, 1, wireMessage, "\x04\x27\x00\x01\x02\x00\x1e\x00\x41a1\x00"))
	f.Fuzz(func(t *testing.T, pdu []byte) {
		given := bytes.Clone(pdu)
		d, err := Describe(pdu)
		if !bytes.Equal(given, pdu) {
			t.Fatal("the PDU was changed")
		}
		if _, e := json.Marshal(d.Fields); e != nil {
			t.Fatal(e)
		}
		var at *OffsetError
		if err != nil && (!errors.As(err, &at) || at.Offset > len(pdu)) {
			t.Fatalf("%v of %d octets", err, len(pdu))
		}
		if d.Message != nil {
			_, _ = ReadUserData(d.Message)
		}
		if d.CommandID != cmdDeliverSM && d.CommandID != cmdDataSM || int(d.Length) != len(pdu) {
			return
		}
		m, sessionErr := decodeMessage(d.CommandID, pdu[headerOctets:])
		if (sessionErr == nil) != (err == nil) {
			t.Fatalf("session says %v, description %v", sessionErr, err)
		}
		if err == nil && (m.ESMClass != d.Message.ESMClass || m.DataCoding != d.Message.DataCoding ||
			!bytes.Equal(m.ShortMessage, d.Message.ShortMessage) || len(m.TLVs) != len(d.Message.TLVs) || m.Source != d.Message.Source) {
			t.Fatalf("session has %+v, description %+v", m, *d.Message)
		}
	})
}
