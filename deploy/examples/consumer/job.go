package main

import "github.com/shortwire-sms/shortwire/dispatcher/sms"

// Job is what is known of one job. Results come in any order: a receipt before
// the outcome, ENROUTE after DELIVERED, the parts as they please. Whatever the
// order, Add ends with the same.
type Job struct {
	Outcome *sms.Result         // of the last replay, or the only one
	Parts   map[int]*sms.Result // the receipt that counts, by part
	State   sms.State           // once every part is final: the worst of them
}

// Add takes one result in. It bears repeats.
func (j *Job) Add(r *sms.Result) {
	if r.Receipt == nil {
		if j.Outcome == nil || r.Replay > j.Outcome.Replay {
			j.Outcome = r
		}
		return
	}
	if r.JobState != "" {
		j.State = r.JobState
	}
	if j.Parts == nil {
		j.Parts = make(map[int]*sms.Result)
	}
	if before := j.Parts[r.Part]; before == nil || counts(r, before) {
		j.Parts[r.Part] = r
	}
}

// counts reports whether receipt a stands in place of b: a final state in place
// of any other, else what came to the worker later.
func counts(a, b *sms.Result) bool {
	if a.Final != b.Final {
		return a.Final
	}
	if !a.Time.Equal(b.Time) {
		return a.Time.After(b.Time)
	}
	return a.ID > b.ID
}
