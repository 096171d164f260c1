package binds

import (
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Class says what a command_status in a submit_sm_resp means for the sender.
type Class uint8

// Classes.
const (
	ClassOK        Class = iota // accepted
	ClassThrottle               // too fast: slow the route down, then retry
	ClassRetry                  // retry later, on any bind
	ClassRetryOnce              // the same, but a second refusal is final
	ClassMessage                // refused for good: this message
	ClassAccount                // refused until somebody acts: every message of this account
	ClassSession                // the session is not in a state to submit: bind anew, then retry
)

// String returns the class's name, as configuration and documents write it,
// safe as a metric label.
func (c Class) String() string {
	switch c {
	case ClassOK:
		return "success"
	case ClassThrottle:
		return "throttle"
	case ClassRetry:
		return "retry"
	case ClassRetryOnce:
		return "retry_once"
	case ClassMessage:
		return "permanent"
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
	case ClassRetry, ClassRetryOnce, ClassSession:
		// The SMSC answered that it does not have the message: never uncertain.
		return sms.CodeTemporary
	}
	return ""
}

// retry is the earliest useful retry of a status that has no time of its own;
// 0 leaves it to the caller's back-off.
func (c Class) retry() time.Duration {
	switch c {
	case ClassThrottle, ClassRetry, ClassRetryOnce, ClassSession:
		return time.Second
	}
	return 0
}

// tries is how many attempts there are in all; 0 leaves it to the caller.
func (c Class) tries() int {
	if c == ClassRetryOnce {
		return 2
	}
	return 0
}

// Ranges of command_status (SMPP 3.4 §5.1.3, 5.0 §4.7.6).
const (
	firstVendorStatus = 0x400
	lastVendorStatus  = 0x4FF
)

// row returns the row of a command_status. Values without one have the class
// of their range: reserved values below the vendors' may pass once, vendors' own
// and everything above are final until a route says otherwise.
func row(code uint32) status {
	if s, ok := statuses[code]; ok {
		return s
	}
	switch {
	case code < firstVendorStatus:
		return status{"reserved", ClassRetryOnce, 0, "not in the specification"}
	case code <= lastVendorStatus:
		return status{"vendor_specific", ClassMessage, 0, "this SMSC's own: see its manual, and give it a class under status"}
	default:
		return status{"reserved", ClassMessage, 0, "not in the specification"}
	}
}

// Overrides are the classes that a route gives command_status values of its
// own. The zero value is the standard table.
type Overrides map[uint32]Class

// Classify returns the class of a command_status in a submit_sm_resp on this route.
func (o Overrides) Classify(code uint32) Class {
	if c, ok := o[code]; ok {
		return c
	}
	return row(code).class
}

// Error returns the error that a command_status other than ESME_ROK means for
// the operation op on this route.
func (o Overrides) Error(op string, code uint32) *sms.Error {
	s := row(code)
	class, retry := o.Classify(code), s.retry
	if class != s.class || retry == 0 {
		retry = class.retry()
	}
	return &sms.Error{Op: op, Code: class.Code(), Status: code, StatusName: s.name, RetryAfter: retry, Tries: class.tries()}
}

// Classify returns the class of a command_status by the standard table.
func Classify(code uint32) Class { return Overrides(nil).Classify(code) }

// Name returns the name of a command_status, "ESME_RTHROTTLED", or the name of
// its range: "reserved", "vendor_specific".
func Name(code uint32) string { return row(code).name }

// Meaning says in a few words what a command_status means.
func Meaning(code uint32) string { return row(code).meaning }

// refusal says how a refused bind is to be taken.
type refusal uint8

const (
	refusedForNow     refusal = iota // try again with the usual back-off
	refusedAlready                   // an old session of ours still lives, or the limit of binds is reached
	refusedCredential                // nothing will change until somebody acts; hot retries get addresses banned
)

// String returns what documents say of it.
func (r refusal) String() string {
	switch r {
	case refusedAlready:
		return "already bound"
	case refusedCredential:
		return "refused"
	}
	return "back off"
}

// Values that the supervision of binds looks at.
const (
	statusInvCmdID    = 0x03
	statusAlreadyBnd  = 0x05
	statusBindFail    = 0x0D
	statusInvPassword = 0x0E
	statusInvSystemID = 0x0F
	statusInvSysType  = 0x53
	statusInvSysType2 = 0x4D // the same, at some SMSCs
)

// classifyBind says how a bind refused with a command_status is to be taken.
func (o Overrides) classifyBind(code uint32) refusal {
	if class, ok := o[code]; ok {
		if class == ClassAccount || class == ClassMessage {
			return refusedCredential
		}
		return refusedForNow
	}
	switch code {
	case statusAlreadyBnd:
		return refusedAlready
	case statusInvCmdID, statusBindFail, statusInvPassword, statusInvSystemID, statusInvSysType, statusInvSysType2:
		// ESME_RINVCMDID and ESME_RBINDFAIL have been seen for bad credentials.
		return refusedCredential
	}
	if Classify(code) == ClassAccount || code >= firstVendorStatus && code <= lastVendorStatus {
		return refusedCredential
	}
	return refusedForNow
}

// AtBind says in a word how a bind refused with a command_status is taken on
// this route: "refused", "already bound" or "back off".
func (o Overrides) AtBind(code uint32) string { return o.classifyBind(code).String() }

// classifyBind is Overrides.classifyBind by the standard table.
func classifyBind(code uint32) refusal { return Overrides(nil).classifyBind(code) }

// StatusError is Overrides.Error by the standard table.
func StatusError(op string, code uint32) *sms.Error { return Overrides(nil).Error(op, code) }
