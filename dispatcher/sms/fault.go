package sms

import (
	"fmt"
	"strings"
)

// Fault is one thing wrong with a job or a result.
type Fault struct {
	Field  string // "to", "tlvs[2].value"; empty when it is about the whole
	Reason string // "must be 0..3, is 9"; never text, payload or a full number
}

// Faults is everything wrong with a job or a result.
type Faults []Fault

// maxFaultsShown bounds error texts: a hostile payload can hold thousands.
const maxFaultsShown = 20

// Error implements error: `to: must be given; priority: must be 0..3, is 9`.
func (f Faults) Error() string {
	var b strings.Builder
	for i, fault := range f {
		if i == maxFaultsShown {
			fmt.Fprintf(&b, "; and %d more", len(f)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		if fault.Field != "" {
			b.WriteString(fault.Field + ": ")
		}
		b.WriteString(fault.Reason)
	}
	return b.String()
}

// add appends a fault, unless the field has one already: the first says why
// the field holds nothing that could be checked further.
func (f *Faults) add(field, format string, args ...any) {
	for i := range *f {
		if (*f)[i].Field == field {
			return
		}
	}
	*f = append(*f, Fault{field, fmt.Sprintf(format, args...)})
}

// err returns the faults as an *Error, nil when there are none.
func (f Faults) err(op string) error {
	if len(f) == 0 {
		return nil
	}
	return &Error{Op: op, Code: CodeInvalid, Err: f}
}
