package app

import (
	"slices"
	"time"

	"github.com/shortwire-sms/shortwire/binds"
	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// RecentError is an attempt at a job that did not end well. There is no text
// in it, and no number but masked ones.
type RecentError struct {
	Time       time.Time  `json:"time"`
	Route      string     `json:"route"` // that carried it
	Producer   string     `json:"producer"`
	JobID      string     `json:"job_id,omitempty"` // absent when the job does not name itself
	To         string     `json:"to,omitempty"`     // destination, masked, with its hash under privacy.hash_key
	Attempt    int        `json:"attempt"`
	Code       sms.Code   `json:"code"`
	Status     uint32     `json:"status,omitempty"`      // command_status
	StatusName string     `json:"status_name,omitempty"` // its name
	Reason     string     `json:"reason"`
	Meaning    string     `json:"meaning"`
	Next       *time.Time `json:"next,omitempty"` // of another attempt
	End        sms.Kind   `json:"end,omitempty"`  // how the job ended, when there is none
}

// errorsShown is how many of all routes are shown.
const errorsShown = 50

// recentErrors are those of all routes, the latest first.
func recentErrors(routes []*route) []RecentError {
	var all []dispatcher.Fault
	for _, r := range routes {
		all = append(all, r.dispatcher.Faults()...)
	}
	slices.SortStableFunc(all, func(a, b dispatcher.Fault) int { return b.Time.Compare(a.Time) })
	list := make([]RecentError, 0, min(len(all), errorsShown))
	for _, f := range all[:min(len(all), errorsShown)] {
		e := RecentError{
			Time: f.Time, Route: f.Route, Producer: f.Producer, JobID: f.JobID, To: f.To, Attempt: f.Attempt, Code: f.Code,
			Status: f.Status, StatusName: f.StatusName, Reason: f.Reason, Meaning: codeMeanings[f.Code], End: f.End,
		}
		if f.Status != 0 {
			e.Meaning = binds.Meaning(f.Status)
		}
		if !f.Next.IsZero() {
			e.Next = &f.Next
		}
		list = append(list, e)
	}
	return list
}

// codeMeanings is what each code says of a job that ended with it, and what
// to look at.
var codeMeanings = map[sms.Code]string{
	sms.CodeInvalid:     "the job itself is wrong: see its reason, and correct the producer",
	sms.CodeRejected:    "the SMSC refuses this message for good: see its status",
	sms.CodeAccount:     "the SMSC refuses the account: credit, permission, contract",
	sms.CodeThrottled:   "the SMSC asked to slow down again and again",
	sms.CodeTemporary:   "the SMSC could not take it, as often as it was tried",
	sms.CodeUnavailable: "it was never written to the SMSC: no bind, or the session was lost before",
	sms.CodeUncertain:   "it was written and never answered: the SMSC may or may not have it",
	sms.CodeExpired:     "expires_at passed before the SMSC accepted it",
}
