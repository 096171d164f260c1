package publish

import (
	"errors"
	"fmt"
	"net/textproto"
	"strings"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Check reports everything that is wrong with a job and where it is to go, as
// Send does before it publishes: an *sms.Error with sms.CodeInvalid around
// sms.Faults.
func Check(job Job) error {
	var faults sms.Faults
	if !sms.ValidToken(job.Route) {
		faults = append(faults, sms.Fault{Field: "route", Reason: fmt.Sprintf("must be 1..32 of A-Z a-z 0-9 _ -, is %q", job.Route)})
	}
	if job.Lane != "" && !job.Lane.Valid() {
		faults = append(faults, sms.Fault{Field: "lane", Reason: fmt.Sprintf("must be one of high, normal, bulk, is %q", job.Lane)})
	}
	for name := range job.Header {
		if n := textproto.CanonicalMIMEHeaderKey(name); strings.HasPrefix(n, "Nats-") || strings.HasPrefix(n, "Shortwire-") {
			faults = append(faults, sms.Fault{Field: "header", Reason: fmt.Sprintf("%s is not for producers to set", n)})
		}
	}
	var wrong sms.Faults
	if err := job.Validate(); errors.As(err, &wrong) {
		faults = append(faults, wrong...)
	}
	if len(faults) > 0 {
		return &sms.Error{Op: "check job", Code: sms.CodeInvalid, Err: faults}
	}
	return nil
}
