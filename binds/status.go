package binds

import (
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Class says what a command_status in a submit_sm_resp means for the sender.
type Class uint8

// Classes.
const (
	ClassOK       Class = iota // accepted
	ClassThrottle              // slow the route down, then retry
	ClassRetry                 // retry later, on any bind
	ClassMessage               // refused for good: this message
	ClassAccount               // refused for good: every message of this account, until somebody acts
	ClassSession               // the session is not in a state to submit: bind anew, then retry
)

// String returns the class's name, safe as a metric label.
func (c Class) String() string {
	switch c {
	case ClassOK:
		return "ok"
	case ClassThrottle:
		return "throttle"
	case ClassRetry:
		return "retry"
	case ClassMessage:
		return "message"
	case ClassAccount:
		return "account"
	case ClassSession:
		return "session"
	}
	return "unknown"
}

// Code returns the code that a job's attempt ends with. ClassOK has none.
func (c Class) Code() sms.Code {
	switch c {
	case ClassThrottle:
		return sms.CodeThrottled
	case ClassMessage:
		return sms.CodeRejected
	case ClassAccount:
		return sms.CodeAccount
	case ClassRetry, ClassSession:
		// The SMSC answered that it does not have the message: never uncertain.
		return sms.CodeTemporary
	}
	return ""
}

// Ranges of command_status (SMPP 3.4 §5.1.3, 5.0 §4.7.6).
const (
	firstVendorStatus = 0x400
	lastVendorStatus  = 0x4FF
)

// Values that the supervision of binds looks at.
const (
	statusInvCmdID    = 0x03
	statusAlreadyBnd  = 0x05
	statusBindFail    = 0x0D
	statusInvPassword = 0x0E
	statusInvSystemID = 0x0F
	statusInvSysType  = 0x53
)

// status is one row of the table.
type status struct {
	name  string
	class Class
	retry time.Duration // earliest useful retry; 0 leaves it to the caller's back-off
}

// statuses is SMPP 3.4 §5.1.3 and 5.0 §4.7.6, with the aliases that some
// SMSCs use (0x16, 0x4A..0x4E). The classes follow what operators were seen
// to mean. ESME_RINVCMDLEN and ESME_RINVCMDID name our sequence number, so the
// stream is in step and the fault is the message's.
var statuses = map[uint32]status{
	0x00:  {"ESME_ROK", ClassOK, 0},
	0x01:  {"ESME_RINVMSGLEN", ClassMessage, 0},
	0x02:  {"ESME_RINVCMDLEN", ClassMessage, 0},
	0x03:  {"ESME_RINVCMDID", ClassMessage, 0},
	0x04:  {"ESME_RINVBNDSTS", ClassSession, time.Second},
	0x05:  {"ESME_RALYBND", ClassSession, time.Second},
	0x06:  {"ESME_RINVPRTFLG", ClassMessage, 0},
	0x07:  {"ESME_RINVREGDLVFLG", ClassMessage, 0},
	0x08:  {"ESME_RSYSERR", ClassRetry, time.Second},
	0x0A:  {"ESME_RINVSRCADR", ClassMessage, 0},
	0x0B:  {"ESME_RINVDSTADR", ClassMessage, 0},
	0x0C:  {"ESME_RINVMSGID", ClassMessage, 0},
	0x0D:  {"ESME_RBINDFAIL", ClassSession, time.Second},
	0x0E:  {"ESME_RINVPASWD", ClassSession, time.Second},
	0x0F:  {"ESME_RINVSYSID", ClassSession, time.Second},
	0x11:  {"ESME_RCANCELFAIL", ClassMessage, 0},
	0x13:  {"ESME_RREPLACEFAIL", ClassMessage, 0},
	0x14:  {"ESME_RMSGQFUL", ClassThrottle, 5 * time.Second},
	0x15:  {"ESME_RINVSERTYP", ClassMessage, 0},
	0x16:  {"ESME_RINVSERTYP", ClassMessage, 0},
	0x33:  {"ESME_RINVNUMDESTS", ClassMessage, 0},
	0x34:  {"ESME_RINVDLNAME", ClassMessage, 0},
	0x40:  {"ESME_RINVDESTFLAG", ClassMessage, 0},
	0x42:  {"ESME_RINVSUBREP", ClassMessage, 0},
	0x43:  {"ESME_RINVESMCLASS", ClassMessage, 0},
	0x44:  {"ESME_RCNTSUBDL", ClassMessage, 0},
	0x45:  {"ESME_RSUBMITFAIL", ClassRetry, time.Second}, // also "window exceeded"
	0x48:  {"ESME_RINVSRCTON", ClassMessage, 0},
	0x49:  {"ESME_RINVSRCNPI", ClassMessage, 0},
	0x4A:  {"ESME_RINVDSTTON", ClassMessage, 0},
	0x4B:  {"ESME_RINVDSTNPI", ClassMessage, 0},
	0x4D:  {"ESME_RINVSYSTYP", ClassMessage, 0},
	0x4E:  {"ESME_RINVREPFLAG", ClassMessage, 0},
	0x50:  {"ESME_RINVDSTTON", ClassMessage, 0},
	0x51:  {"ESME_RINVDSTNPI", ClassMessage, 0},
	0x53:  {"ESME_RINVSYSTYP", ClassMessage, 0},
	0x54:  {"ESME_RINVREPFLAG", ClassMessage, 0},
	0x55:  {"ESME_RINVNUMMSGS", ClassMessage, 0},
	0x58:  {"ESME_RTHROTTLED", ClassThrottle, time.Second},
	0x61:  {"ESME_RINVSCHED", ClassMessage, 0},
	0x62:  {"ESME_RINVEXPIRY", ClassMessage, 0},
	0x63:  {"ESME_RINVDFTMSGID", ClassMessage, 0},
	0x64:  {"ESME_RX_T_APPN", ClassRetry, 5 * time.Second},
	0x65:  {"ESME_RX_P_APPN", ClassMessage, 0},
	0x66:  {"ESME_RX_R_APPN", ClassMessage, 0},
	0x67:  {"ESME_RQUERYFAIL", ClassMessage, 0},
	0xC0:  {"ESME_RINVTLVSTREAM", ClassMessage, 0},
	0xC1:  {"ESME_RTLVNOTALLWD", ClassMessage, 0},
	0xC2:  {"ESME_RINVTLVLEN", ClassMessage, 0},
	0xC3:  {"ESME_RMISSINGTLV", ClassMessage, 0},
	0xC4:  {"ESME_RINVTLVVAL", ClassMessage, 0},
	0xFE:  {"ESME_RDELIVERYFAILURE", ClassMessage, 0},
	0xFF:  {"ESME_RUNKNOWNERR", ClassRetry, time.Second},
	0x100: {"ESME_RSERTYPUNAUTH", ClassAccount, 0},
	0x101: {"ESME_RPROHIBITED", ClassAccount, 0},
	0x102: {"ESME_RSERTYPUNAVAIL", ClassThrottle, 5 * time.Second},
	0x103: {"ESME_RSERTYPDENIED", ClassAccount, 0},
	0x104: {"ESME_RINVDCS", ClassMessage, 0},
	0x105: {"ESME_RINVSRCADDRSUBUNIT", ClassMessage, 0},
	0x106: {"ESME_RINVDSTADDRSUBUNIT", ClassMessage, 0},
	0x107: {"ESME_RINVBCASTFREQINT", ClassMessage, 0},
	0x108: {"ESME_RINVBCASTALIAS_NAME", ClassMessage, 0},
	0x109: {"ESME_RINVBCASTAREAFMT", ClassMessage, 0},
	0x10A: {"ESME_RINVNUMBCAST_AREAS", ClassMessage, 0},
	0x10B: {"ESME_RINVBCASTCNTTYPE", ClassMessage, 0},
	0x10C: {"ESME_RINVBCASTMSGCLASS", ClassMessage, 0},
	0x10D: {"ESME_RBCASTFAIL", ClassMessage, 0},
	0x10E: {"ESME_RBCASTQUERYFAIL", ClassMessage, 0},
	0x10F: {"ESME_RBCASTCANCELFAIL", ClassMessage, 0},
	0x110: {"ESME_RINVBCAST_REP", ClassMessage, 0},
	0x111: {"ESME_RINVBCASTSRVGRP", ClassMessage, 0},
	0x112: {"ESME_RINVBCASTCHANIND", ClassMessage, 0},
}

// lookup returns the row of a command_status. Values without one have the
// class of their range: reserved values below the vendors' may pass, vendors'
// own and everything above are taken as final until a route says otherwise.
func lookup(code uint32) status {
	if s, ok := statuses[code]; ok {
		return s
	}
	switch {
	case code < firstVendorStatus:
		return status{"reserved", ClassRetry, time.Second}
	case code <= lastVendorStatus:
		return status{"vendor_specific", ClassMessage, 0}
	default:
		return status{"reserved", ClassMessage, 0}
	}
}

// Classify returns the class of a command_status in a submit_sm_resp.
func Classify(code uint32) Class { return lookup(code).class }

// Name returns the name of a command_status, "ESME_RTHROTTLED", or the name of
// its range: "reserved", "vendor_specific".
func Name(code uint32) string { return lookup(code).name }

// StatusError returns the error that a command_status other than ESME_ROK
// means for the operation op.
func StatusError(op string, code uint32) *sms.Error {
	s := lookup(code)
	return &sms.Error{Op: op, Code: s.class.Code(), Status: code, StatusName: s.name, RetryAfter: s.retry}
}

// refusal says how a refused bind is to be taken.
type refusal uint8

const (
	refusedForNow     refusal = iota // try again with the usual back-off
	refusedAlready                   // an old session of ours still lives, or the limit of binds is reached
	refusedCredential                // nothing will change until somebody acts; hot retries get addresses banned
)

func classifyBind(code uint32) refusal {
	switch code {
	case statusAlreadyBnd:
		return refusedAlready
	case statusInvCmdID, statusBindFail, statusInvPassword, statusInvSystemID, statusInvSysType:
		// ESME_RINVCMDID and ESME_RBINDFAIL have been seen for bad credentials.
		return refusedCredential
	}
	if Classify(code) == ClassAccount || code >= firstVendorStatus && code <= lastVendorStatus {
		return refusedCredential
	}
	return refusedForNow
}
