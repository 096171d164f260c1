package smpp

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

type tlvKind uint8

const (
	tlvOctets       tlvKind = iota
	tlvNumber               // unsigned, big-endian
	tlvText                 // C-octet string; the NUL is often missing
	tlvNetworkError         // network type and error code
	tlvFlag                 // its presence is its meaning
)

// tlvSpec is one optional parameter.
type tlvSpec struct {
	name   string
	kind   tlvKind
	octets int // of the value; 0: any number
	class  Sensitivity
}

// Tags of parameters for vendors (§5.3.2, 5.0 §4.8.1).
const (
	firstVendorTag = 0x1400
	lastVendorTag  = 0x3FFF
)

// tlvSpecs has every optional parameter of SMPP 3.4 (§5.3.2) and 5.0 (§4.8.4).
var tlvSpecs = map[uint16]tlvSpec{
	0x0005: {"dest_addr_subunit", tlvNumber, 1, Public},
	0x0006: {"dest_network_type", tlvNumber, 1, Public},
	0x0007: {"dest_bearer_type", tlvNumber, 1, Public},
	0x0008: {"dest_telematics_id", tlvNumber, 2, Public},
	0x000D: {"source_addr_subunit", tlvNumber, 1, Public},
	0x000E: {"source_network_type", tlvNumber, 1, Public},
	0x000F: {"source_bearer_type", tlvNumber, 1, Public},
	0x0010: {"source_telematics_id", tlvNumber, 1, Public},
	0x0017: {"qos_time_to_live", tlvNumber, 4, Public},
	0x0019: {"payload_type", tlvNumber, 1, Public},
	0x001D: {"additional_status_info_text", tlvText, 0, Content},
	0x001E: {"receipted_message_id", tlvText, 0, Public},
	0x0030: {"ms_msg_wait_facilities", tlvNumber, 1, Public},
	0x0201: {"privacy_indicator", tlvNumber, 1, Public},
	0x0202: {"source_subaddress", tlvOctets, 0, Content},
	0x0203: {"dest_subaddress", tlvOctets, 0, Content},
	0x0204: {"user_message_reference", tlvNumber, 2, Public},
	0x0205: {"user_response_code", tlvNumber, 1, Public},
	0x020A: {"source_port", tlvNumber, 2, Public},
	0x020B: {"destination_port", tlvNumber, 2, Public},
	0x020C: {"sar_msg_ref_num", tlvNumber, 2, Public},
	0x020D: {"language_indicator", tlvNumber, 1, Public},
	0x020E: {"sar_total_segments", tlvNumber, 1, Public},
	0x020F: {"sar_segment_seqnum", tlvNumber, 1, Public},
	0x0210: {"sc_interface_version", tlvNumber, 1, Public},
	0x0302: {"callback_num_pres_ind", tlvNumber, 1, Public},
	0x0303: {"callback_num_atag", tlvOctets, 0, Content},
	0x0304: {"number_of_messages", tlvNumber, 1, Public},
	0x0381: {"callback_num", tlvOctets, 0, Content},
	0x0420: {"dpf_result", tlvNumber, 1, Public},
	0x0421: {"set_dpf", tlvNumber, 1, Public},
	0x0422: {"ms_availability_status", tlvNumber, 1, Public},
	0x0423: {"network_error_code", tlvNetworkError, 3, Public},
	0x0424: {"message_payload", tlvOctets, 0, Content},
	0x0425: {"delivery_failure_reason", tlvNumber, 1, Public},
	0x0426: {"more_messages_to_send", tlvNumber, 1, Public},
	0x0427: {"message_state", tlvNumber, 1, Public},
	0x0428: {"congestion_state", tlvNumber, 1, Public},
	0x0501: {"ussd_service_op", tlvNumber, 1, Public},
	0x0600: {"broadcast_channel_indicator", tlvNumber, 1, Public},
	0x0601: {"broadcast_content_type", tlvOctets, 3, Public},
	0x0602: {"broadcast_content_type_info", tlvOctets, 0, Content},
	0x0603: {"broadcast_message_class", tlvNumber, 1, Public},
	0x0604: {"broadcast_rep_num", tlvNumber, 2, Public},
	0x0605: {"broadcast_frequency_interval", tlvOctets, 3, Public},
	0x0606: {"broadcast_area_identifier", tlvOctets, 0, Public},
	0x0607: {"broadcast_error_status", tlvNumber, 4, Public},
	0x0608: {"broadcast_area_success", tlvNumber, 1, Public},
	0x0609: {"broadcast_end_time", tlvText, 0, Public},
	0x060A: {"broadcast_service_group", tlvOctets, 0, Public},
	0x060B: {"billing_identification", tlvOctets, 0, Content},
	0x060D: {"source_network_id", tlvText, 0, Public},
	0x060E: {"dest_network_id", tlvText, 0, Public},
	0x060F: {"source_node_id", tlvText, 0, Public},
	0x0610: {"dest_node_id", tlvText, 0, Public},
	0x0611: {"dest_addr_np_resolution", tlvNumber, 1, Public},
	0x0612: {"dest_addr_np_information", tlvText, 0, Content},
	0x0613: {"dest_addr_np_country", tlvOctets, 0, Public},
	0x1201: {"display_time", tlvNumber, 1, Public},
	0x1203: {"sms_signal", tlvNumber, 2, Public},
	0x1204: {"ms_validity", tlvNumber, 0, Public}, // one octet in 3.4, four in 5.0
	0x130C: {"alert_on_message_delivery", tlvFlag, 0, Public},
	0x1380: {"its_reply_type", tlvNumber, 1, Public},
	0x1383: {"its_session_info", tlvNumber, 2, Public},
}

// describeTLV names a parameter and reads its value. A value of the wrong size
// stays what it is: octets.
func describeTLV(tag uint16, v []byte) DescribedTLV {
	spec, known := tlvSpecs[tag]
	t := DescribedTLV{Tag: tag, Name: spec.name, Length: len(v), Class: spec.class}
	if !known {
		// What nobody has described may be anything, a subscriber's number too.
		t.Class = Content
		t.Name = fmt.Sprintf("unknown_0x%04x", tag)
		if tag >= firstVendorTag && tag <= lastVendorTag {
			t.Name = fmt.Sprintf("vendor_0x%04x", tag)
		}
	}
	t.Value = Octets(v)
	switch {
	case spec.kind == tlvNumber && len(v) > 0 && (len(v) == spec.octets || spec.octets == 0 && len(v) <= 4):
		var wide [8]byte
		copy(wide[8-len(v):], v)
		t.Value = binary.BigEndian.Uint64(wide[:])
	case spec.kind == tlvText:
		if i := bytes.IndexByte(v, 0); i >= 0 {
			v = v[:i]
		}
		t.Value = Printable(v)
	case spec.kind == tlvFlag && len(v) == 0:
		t.Value = true
	case spec.kind == tlvNetworkError && len(v) == 3 && !asciiDigits(v):
		t.Value = Fields{{"network_type", uint64(v[0]), Public}, {"error_code", uint64(binary.BigEndian.Uint16(v[1:])), Public}}
	case spec.kind == tlvNetworkError && len(v) == 3:
		t.Value = string(v) // some SMSCs put three digits there
	}
	return t
}

func asciiDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
