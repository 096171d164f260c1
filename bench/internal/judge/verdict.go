package judge

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// Verdict is what the records say. Every count but the first block is of
// broken promises and must be 0.
type Verdict struct {
	Jobs       int            `json:"jobs"`
	Outcomes   map[string]int `json:"outcomes"`           // jobs by kind of outcome
	Submits    int            `json:"submits"`            // submit_sm that the SMSC read
	Accepted   int            `json:"accepted"`           // messages that it took in
	Receipts   int            `json:"receipts"`           // distinct final receipts joined to their job
	Unmatched  int            `json:"unmatched"`          // receipts without their job; allowed for jobs in doubt
	Repeats    int            `json:"repeats"`            // results that came again under their id; consumers drop them
	DupAllowed int            `json:"duplicated_allowed"` // messages beyond one per part where the result says possible_duplicate
	Forgotten  int            `json:"forgotten_receipts"` // parked in a Redis that lost its data
	InDoubt    int            `json:"possible_duplicate"` // jobs whose result says so

	Lost          int `json:"lost"`                   // jobs without an outcome
	LostReceipts  int `json:"lost_receipts"`          // accepted messages without a receipt
	TwoOutcomes   int `json:"two_outcomes"`           // jobs with more than one outcome
	DupNotAllowed int `json:"duplicated_not_allowed"` // messages beyond one per part that nobody was told of, or of an at_most_once job
	Orphaned      int `json:"orphaned"`               // unmatched receipts of jobs that were never in doubt
	FalseClaims   int `json:"false_claims"`           // outcomes that the SMSC's record contradicts
	JobStates     int `json:"job_states"`             // jobs whose receipts are all there, and none or several with job_state
	Stray         int `json:"stray"`                  // results, receipts and submits that belong to nothing

	Examples []string `json:"examples,omitempty"` // of broken promises, a few of each kind
}

// maxExamples bounds the examples of one kind.
const maxExamples = 5

// Broken counts the broken promises.
func (v *Verdict) Broken() int {
	return v.Lost + v.LostReceipts + v.TwoOutcomes + v.DupNotAllowed + v.Orphaned + v.FalseClaims + v.JobStates + v.Stray
}

// Verdict judges what was added so far. Without any Submit the SMSC's record is
// taken to be unknown: every part of a submitted job must then have its receipt.
func (j *Judge) Verdict() *Verdict {
	v := &Verdict{Jobs: len(j.cases), Outcomes: map[string]int{}, Submits: j.submits, Unmatched: len(j.unmatched), Repeats: j.repeats}
	for _, s := range j.stray {
		v.broke(&v.Stray, "%s", s)
	}
	for _, id := range slices.Sorted(maps.Keys(j.cases)) {
		f := j.cases[id]
		v.judgeOutcomes(f)
		if j.recorded {
			v.judgeRecord(f, j)
			v.judgeClaims(f, j.byID)
			v.judgeStates(f, len(j.forgot) > 0)
		} else {
			v.judgeReceipts(f)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(j.byID)) {
		v.judgeMessage(id, j.byID[id], j.recorded)
	}
	return v
}

// judgeMessage holds a receipt against the SMSC's record.
func (v *Verdict) judgeMessage(id string, m *message, recorded bool) {
	if m.receipt == receiptMatched {
		v.Receipts++
	}
	switch {
	case !recorded || m.receipt == receiptNone:
	case m.job == "":
		v.broke(&v.Stray, "receipt of message %s, which the SMSC never gave out", id)
	case m.receipt == receiptMatched && (m.toJob != m.job || m.toPart != m.part):
		v.broke(&v.Stray, "receipt of message %s names job %s part %d, the message was job %s part %d", id, m.toJob, m.toPart, m.job, m.part)
	}
}

// broke counts a broken promise and keeps it as an example.
func (v *Verdict) broke(count *int, format string, args ...any) {
	if *count++; *count <= maxExamples {
		v.Examples = append(v.Examples, fmt.Sprintf(format, args...))
	}
}

func (v *Verdict) judgeOutcomes(f *file) {
	switch len(f.outcomes) {
	case 0:
		v.broke(&v.Lost, "job %s has no outcome", f.job.ID)
	case 1:
	default:
		v.broke(&v.TwoOutcomes, "job %s has %d outcomes: %s as %s and %s as %s", f.job.ID, len(f.outcomes),
			f.outcomes[0].kind, f.outcomes[0].id, f.outcomes[1].kind, f.outcomes[1].id)
	}
	for _, o := range f.outcomes {
		v.Outcomes[o.kind]++
	}
	if f.doubt() {
		v.InDoubt++
	}
}

// doubt reports whether the producer was told that the job may have been sent twice.
func (f *file) doubt() bool {
	for _, o := range f.outcomes {
		if o.possibleDuplicate {
			return true
		}
	}
	return false
}

// uncertain reports whether the producer was told that nobody knows.
func (f *file) uncertain() bool {
	for _, o := range f.outcomes {
		if o.kind == "uncertain" {
			return true
		}
	}
	return false
}

// judgeReceipts is the rule where the SMSC's record is unknown.
func (v *Verdict) judgeReceipts(f *file) {
	for _, o := range f.outcomes {
		if o.kind != "submitted" {
			continue
		}
		for part := range f.job.Parts {
			if _, ok := f.parts[part+1]; !ok {
				v.broke(&v.LostReceipts, "job %s part %d was submitted and has no receipt", f.job.ID, part+1)
			}
		}
		return
	}
}

// judgeStates demands that the receipts of a job say its state once, when each
// part has one. Of a job in doubt copies of a part may have receipts that nobody
// could join to it.
func (v *Verdict) judgeStates(f *file, forgot bool) {
	if forgot || f.doubt() || len(f.parts) < f.job.Parts {
		return
	}
	if f.states != 1 {
		v.broke(&v.JobStates, "job %s has its %d receipts, and %d of them with job_state", f.job.ID, len(f.parts), f.states)
	}
}

// judgeRecord holds the job's submits and receipts against each other.
func (v *Verdict) judgeRecord(f *file, j *Judge) {
	forgot := len(j.forgot) > 0
	v.Accepted += len(f.accepted)
	perPart := make(map[int]int, f.job.Parts)
	for _, m := range f.accepted {
		perPart[m.part]++
		switch {
		case m.receipt == receiptNone && (j.forgotten(m) || j.unreplicated(m.answered)):
			v.Forgotten++
		case m.receipt == receiptNone:
			v.broke(&v.LostReceipts, "job %s part %d was accepted and has no receipt", f.job.ID, m.part)
		case m.receipt == receiptUnmatched && !f.doubt() && !f.uncertain() && !forgot && !j.unreplicated(m.at):
			v.broke(&v.Orphaned, "the receipt of job %s part %d is unmatched, though the job was never in doubt", f.job.ID, m.part)
		}
	}
	for part, n := range perPart {
		switch {
		case n <= 1:
		case f.job.AtMostOnce:
			v.DupNotAllowed += n - 2
			v.broke(&v.DupNotAllowed, "job %s part %d is at_most_once and was accepted %d times", f.job.ID, part, n)
		case f.doubt() || forgot:
			v.DupAllowed += n - 1
		default:
			v.DupNotAllowed += n - 2
			v.broke(&v.DupNotAllowed, "job %s part %d was accepted %d times and its result does not say possible_duplicate", f.job.ID, part, n)
		}
	}
}

// judgeClaims holds what the outcomes say against the SMSC's record.
func (v *Verdict) judgeClaims(f *file, byID map[string]*message) {
	for _, o := range f.outcomes {
		// One that says that nobody knows is not contradicted: the refusal died
		// with the worker that read it.
		unknown := o.kind == "uncertain" && o.possibleDuplicate
		switch unsent := o.kind == "failed" || o.kind == "expired"; {
		case f.job.Refused && o.kind != "failed" && !unknown:
			v.broke(&v.FalseClaims, "job %s goes to a refused number and is %s", f.job.ID, o.kind)
		case unsent && !f.job.Refused:
			v.broke(&v.FalseClaims, "job %s is %s (%s), though the SMSC refuses nothing of it", f.job.ID, o.kind, o.code)
		}
		if o.kind == "submitted" && len(o.messageIDs) != f.job.Parts {
			v.broke(&v.FalseClaims, "job %s is submitted with %d of %d parts", f.job.ID, len(o.messageIDs), f.job.Parts)
		}
		claimed := map[int]bool{}
		for _, id := range o.messageIDs {
			m := byID[id]
			if m == nil || m.job != f.job.ID {
				v.broke(&v.FalseClaims, "job %s claims message %s, which the SMSC did not give it", f.job.ID, id)
				continue
			}
			claimed[m.part] = true
		}
		if (o.kind == "failed" || o.kind == "expired") && !o.possibleDuplicate {
			for _, m := range f.accepted {
				if !claimed[m.part] {
					v.broke(&v.FalseClaims, "job %s is %s (%s) without part %d, which the SMSC accepted", f.job.ID, o.kind, o.code, m.part)
				}
			}
		}
	}
}

// WriteTable writes the verdict for people.
func (v *Verdict) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, n int, note string) { fmt.Fprintf(t, "%s\t%d\t  %s\n", name, n, note) }
	row("jobs", v.Jobs, "")
	for _, k := range []string{"submitted", "failed", "expired", "uncertain"} {
		row(k, v.Outcomes[k], "")
	}
	row("submit_sm seen", v.Submits, "")
	row("messages accepted", v.Accepted, "")
	row("receipts matched", v.Receipts, "")
	row("unmatched", v.Unmatched, "receipts without their job; allowed where it was in doubt")
	row("repeated results", v.Repeats, "same id: consumers drop them")
	row("possible_duplicate", v.InDoubt, "jobs whose result says so")
	row("duplicated, allowed", v.DupAllowed, "and the result says so")
	if v.Forgotten > 0 {
		row("forgotten receipts", v.Forgotten, "parked in the Redis that came back empty")
	}
	row("duplicated, not allowed", v.DupNotAllowed, must0)
	row("lost jobs", v.Lost, must0)
	row("lost receipts", v.LostReceipts, must0)
	row("two outcomes", v.TwoOutcomes, must0)
	row("orphaned receipts", v.Orphaned, must0)
	row("false claims", v.FalseClaims, must0)
	row("job_state not once", v.JobStates, must0)
	row("stray", v.Stray, must0)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, e := range v.Examples {
		if _, err := fmt.Fprintf(w, "  broken: %s\n", e); err != nil {
			return err
		}
	}
	return nil
}

const must0 = "must be 0"
