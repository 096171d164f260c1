package sms

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code says what went wrong, from a closed set. It stands in failed results
// and is safe as a metric label.
type Code string

// The codes. Those marked "retried" stand in a result only when the attempts
// of the job are spent.
const (
	CodeInvalid     Code = "invalid"     // the job itself is wrong: malformed, a field out of range, text that cannot be sent
	CodeRejected    Code = "rejected"    // the SMSC refuses this message for good
	CodeAccount     Code = "account"     // the SMSC refuses the account: credentials, credit, permissions; retried
	CodeThrottled   Code = "throttled"   // the SMSC asks to slow down (ESME_RTHROTTLED, ESME_RMSGQFUL); retried
	CodeTemporary   Code = "temporary"   // the SMSC cannot take it now; retried
	CodeUnavailable Code = "unavailable" // never written to the SMSC: no bind, session lost before the write; retried
	CodeUncertain   Code = "uncertain"   // written and never answered: the SMSC may or may not have it
	CodeExpired     Code = "expired"     // expires_at passed before it was accepted
)

// Codes lists every Code, in the order above.
func Codes() []Code {
	return []Code{CodeInvalid, CodeRejected, CodeAccount, CodeThrottled, CodeTemporary, CodeUnavailable, CodeUncertain, CodeExpired}
}

// Error is a fault with a code that survives from the wire to the result.
type Error struct {
	Op         string        // the step: "submit_sm", "decode job"
	Code       Code          // closed set
	Status     uint32        // SMPP command_status, 0 when the SMSC did not say
	StatusName string        // its name, "ESME_RTHROTTLED"; empty when Status is 0
	RetryAfter time.Duration // earliest useful retry; 0 means the caller's back-off
	Tries      int           // attempts in all, if fewer than usual make it final; 0 leaves them to the caller
	Err        error         // cause, may be nil
}

// Error implements error: "submit_sm: throttled: ESME_RTHROTTLED (0x00000058): cause".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op + ": ")
	}
	b.WriteString(string(e.Code))
	if e.Status != 0 {
		fmt.Fprintf(&b, ": %s (0x%08X)", e.StatusName, e.Status)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first *Error in err's chain, empty when there
// is none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
