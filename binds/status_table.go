package binds

import "time"

// status is one row of the table.
type status struct {
	name    string
	class   Class
	retry   time.Duration // earliest useful retry; 0 means that of the class
	meaning string        // for operators
}

// statuses is SMPP 3.4 §5.1.3 and 5.0 §4.7.6, with the numbers that some SMSCs
// use instead (aliases). The classes follow what operators were seen to mean.
// ESME_RINVCMDLEN and ESME_RINVCMDID name our sequence number, so the stream is
// in step and the fault is the message's.
var statuses = map[uint32]status{
	0x00: {"ESME_ROK", ClassOK, 0, "accepted"},
	0x01: {"ESME_RINVMSGLEN", ClassMessage, 0, "message length is wrong"},
	0x02: {"ESME_RINVCMDLEN", ClassMessage, 0, "command length is wrong"},
	0x03: {"ESME_RINVCMDID", ClassMessage, 0, "command is not known; at bind also bad credentials"},
	0x04: {"ESME_RINVBNDSTS", ClassSession, 0, "not bound, or not for sending"},
	0x05: {"ESME_RALYBND", ClassSession, 0, "already bound, or too many binds"},
	0x06: {"ESME_RINVPRTFLG", ClassMessage, 0, "priority is not allowed"},
	0x07: {"ESME_RINVREGDLVFLG", ClassMessage, 0, "registered_delivery is not allowed"},
	0x08: {"ESME_RSYSERR", ClassRetry, 0, "system error at the SMSC"},
	0x0A: {"ESME_RINVSRCADR", ClassMessage, 0, "sender is wrong or not allowed"},
	0x0B: {"ESME_RINVDSTADR", ClassMessage, 0, "destination is wrong"},
	0x0C: {"ESME_RINVMSGID", ClassMessage, 0, "message id is not known"},
	0x0D: {"ESME_RBINDFAIL", ClassSession, 0, "bind failed"},
	0x0E: {"ESME_RINVPASWD", ClassSession, 0, "password is wrong"},
	0x0F: {"ESME_RINVSYSID", ClassSession, 0, "system_id is not known"},
	0x11: {"ESME_RCANCELFAIL", ClassMessage, 0, "cancel_sm failed"},
	0x13: {"ESME_RREPLACEFAIL", ClassMessage, 0, "replace_sm failed"},
	0x14: {"ESME_RMSGQFUL", ClassThrottle, 5 * time.Second, "message queue is full: the recipient's, or the account's"},
	0x15: {"ESME_RINVSERTYP", ClassMessage, 0, "service_type is wrong"},
	0x33: {"ESME_RINVNUMDESTS", ClassMessage, 0, "number of destinations is wrong"},
	0x34: {"ESME_RINVDLNAME", ClassMessage, 0, "distribution list is not known"},
	0x40: {"ESME_RINVDESTFLAG", ClassMessage, 0, "destination flag is wrong"},
	0x42: {"ESME_RINVSUBREP", ClassMessage, 0, "submit with replace is not allowed"},
	0x43: {"ESME_RINVESMCLASS", ClassMessage, 0, "esm_class is not allowed"},
	0x44: {"ESME_RCNTSUBDL", ClassMessage, 0, "distribution list cannot be sent to"},
	0x45: {"ESME_RSUBMITFAIL", ClassRetryOnce, 0, "submit failed: recipient blocked, or more in flight than allowed"},
	0x48: {"ESME_RINVSRCTON", ClassMessage, 0, "sender's type of number is wrong"},
	0x49: {"ESME_RINVSRCNPI", ClassMessage, 0, "sender's numbering plan is wrong"},
	0x50: {"ESME_RINVDSTTON", ClassMessage, 0, "destination's type of number is wrong"},
	0x51: {"ESME_RINVDSTNPI", ClassMessage, 0, "destination's numbering plan is wrong"},
	0x53: {"ESME_RINVSYSTYP", ClassMessage, 0, "system_type is wrong"},
	0x54: {"ESME_RINVREPFLAG", ClassMessage, 0, "replace_if_present is not allowed"},
	0x55: {"ESME_RINVNUMMSGS", ClassMessage, 0, "number of messages is wrong"},
	0x58: {"ESME_RTHROTTLED", ClassThrottle, 0, "faster than the account may send"},
	0x61: {"ESME_RINVSCHED", ClassMessage, 0, "schedule_delivery_time is wrong"},
	0x62: {"ESME_RINVEXPIRY", ClassMessage, 0, "validity_period is wrong"},
	0x63: {"ESME_RINVDFTMSGID", ClassMessage, 0, "predefined message is not known"},
	0x64: {"ESME_RX_T_APPN", ClassRetry, 5 * time.Second, "receiver cannot take it now"},
	0x65: {"ESME_RX_P_APPN", ClassMessage, 0, "receiver will never take it"},
	0x66: {"ESME_RX_R_APPN", ClassMessage, 0, "receiver rejects it"},
	0x67: {"ESME_RQUERYFAIL", ClassMessage, 0, "query_sm failed; at some SMSCs out of credit"},
	0xC0: {"ESME_RINVTLVSTREAM", ClassMessage, 0, "optional parameters cannot be read"},
	0xC1: {"ESME_RTLVNOTALLWD", ClassMessage, 0, "an optional parameter is not allowed"},
	0xC2: {"ESME_RINVTLVLEN", ClassMessage, 0, "length of an optional parameter is wrong"},
	0xC3: {"ESME_RMISSINGTLV", ClassMessage, 0, "an optional parameter is missing"},
	0xC4: {"ESME_RINVTLVVAL", ClassMessage, 0, "value of an optional parameter is wrong"},
	0xFE: {"ESME_RDELIVERYFAILURE", ClassMessage, 0, "delivery failed, of a message sent in transaction mode"},
	0xFF: {"ESME_RUNKNOWNERR", ClassRetryOnce, 0, "unknown error at the SMSC"},

	0x100: {"ESME_RSERTYPUNAUTH", ClassAccount, 0, "account may not use this service_type"},
	0x101: {"ESME_RPROHIBITED", ClassAccount, 0, "account may not do this"},
	0x102: {"ESME_RSERTYPUNAVAIL", ClassThrottle, 5 * time.Second, "service_type is not available now"},
	0x103: {"ESME_RSERTYPDENIED", ClassAccount, 0, "service_type is denied to the account"},
	0x104: {"ESME_RINVDCS", ClassMessage, 0, "data_coding is not allowed"},
	0x105: {"ESME_RINVSRCADDRSUBUNIT", ClassMessage, 0, "source_addr_subunit is wrong"},
	0x106: {"ESME_RINVDSTADDRSUBUNIT", ClassMessage, 0, "dest_addr_subunit is wrong"},
	0x107: {"ESME_RINVBCASTFREQINT", ClassMessage, 0, "broadcast_frequency_interval is wrong"},
	0x108: {"ESME_RINVBCASTALIAS_NAME", ClassMessage, 0, "alias name of a broadcast area is wrong"},
	0x109: {"ESME_RINVBCASTAREAFMT", ClassMessage, 0, "format of a broadcast area is wrong"},
	0x10A: {"ESME_RINVNUMBCAST_AREAS", ClassMessage, 0, "number of broadcast areas is wrong"},
	0x10B: {"ESME_RINVBCASTCNTTYPE", ClassMessage, 0, "broadcast_content_type is wrong"},
	0x10C: {"ESME_RINVBCASTMSGCLASS", ClassMessage, 0, "broadcast_message_class is wrong"},
	0x10D: {"ESME_RBCASTFAIL", ClassMessage, 0, "broadcast_sm failed"},
	0x10E: {"ESME_RBCASTQUERYFAIL", ClassMessage, 0, "query_broadcast_sm failed"},
	0x10F: {"ESME_RBCASTCANCELFAIL", ClassMessage, 0, "cancel_broadcast_sm failed"},
	0x110: {"ESME_RINVBCAST_REP", ClassMessage, 0, "number of broadcasts is wrong"},
	0x111: {"ESME_RINVBCASTSRVGRP", ClassMessage, 0, "broadcast_service_group is wrong"},
	0x112: {"ESME_RINVBCASTCHANIND", ClassMessage, 0, "broadcast_channel_indicator is wrong"},

	0x16: {"ESME_RINVSERTYP", ClassMessage, 0, "service_type is wrong, under another number"},
	0x4A: {"ESME_RINVDSTTON", ClassMessage, 0, "destination's type of number is wrong, under another number"},
	0x4B: {"ESME_RINVDSTNPI", ClassMessage, 0, "destination's numbering plan is wrong, under another number"},
	0x4D: {"ESME_RINVSYSTYP", ClassMessage, 0, "system_type is wrong, under another number"},
	0x4E: {"ESME_RINVREPFLAG", ClassMessage, 0, "replace_if_present is not allowed, under another number"},
}

// names3_4 are what SMPP 3.4 calls values that 5.0 names anew.
var names3_4 = map[string]uint32{
	"ESME_RINVOPTPARSTREAM": 0xC0,
	"ESME_ROPTPARNOTALLWD":  0xC1,
	"ESME_RINVPARLEN":       0xC2,
	"ESME_RMISSINGOPTPARAM": 0xC3,
	"ESME_RINVOPTPARAMVAL":  0xC4,
}
