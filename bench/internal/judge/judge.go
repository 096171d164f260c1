// Package judge decides whether the promises of DESIGN held, from the two
// records that the worker cannot embellish: what the SMSC saw, and what stands
// in the results stream. It shares no code with the worker and knows its results
// by their JSON alone.
//
// Messages name their job: the text of each part begins with the job's id and a space.
//
// The order in which facts are added does not matter.
package judge

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Job is a job that was published.
type Job struct {
	ID         string
	Parts      int  // messages that it becomes
	AtMostOnce bool // delivery: at_most_once
	Refused    bool // the SMSC refuses its number for good, and that of no other job
}

// Submit is one submit_sm as the SMSC saw it.
type Submit struct {
	Job       string
	Part      int    // 1-based
	MessageID string // empty when the SMSC did not take the message in
	At        time.Time
}

// Judge gathers facts. The zero value is not usable: see New.
type Judge struct {
	cases    map[string]*file
	byID     map[string]*message // by message id
	recorded bool
	forgot   []time.Time       // when Redis lost its data
	parked   time.Duration     // how long before that a receipt may have been answered and parked
	behind   time.Duration     // how much a Redis replica may lack
	replaced []time.Time       // when a Redis master was killed and a replica took over
	receipts map[string]string // result id by producer, message id and state
	resultID map[string]string // kind by result id

	submits   int
	repeats   int
	unmatched map[string]struct{} // message ids of receipts without a job
	stray     []string
}

// file is all that is known of one job.
type file struct {
	job      Job
	accepted []*message
	outcomes []outcome        // distinct by result id
	parts    map[int]struct{} // with a matched final receipt
	states   int              // receipts with a job_state, distinct by result id
}

// message is one message id: what the SMSC gave it to, and what its receipt says.
type message struct {
	job     string // by the SMSC's record; empty when it never gave out the id
	part    int
	at      time.Time // when the SMSC took it in
	receipt receiptKind
	toJob   string // by the receipt
	toPart  int

	answered time.Time // when the SMSC was told that the receipt is safe
}

type receiptKind uint8

const (
	receiptNone      receiptKind = iota
	receiptUnmatched             // published without a job
	receiptMatched
)

// outcome is a terminal result.
type outcome struct {
	id                string
	kind              string
	code              string
	possibleDuplicate bool
	messageIDs        []string
}

// New makes a judge for these jobs, whose ids must differ.
func New(jobs []Job) *Judge {
	j := &Judge{
		cases:     make(map[string]*file, len(jobs)),
		byID:      make(map[string]*message, len(jobs)),
		receipts:  make(map[string]string, len(jobs)),
		resultID:  make(map[string]string, 2*len(jobs)),
		unmatched: map[string]struct{}{},
	}
	for _, job := range jobs {
		j.cases[job.ID] = &file{job: job}
	}
	return j
}

// Forgetful tells that Redis lost its data at these moments. Then receipts may
// be unmatched, and at_least_once messages may come twice unannounced: who knew
// has forgotten. Receipts that the SMSC was answered at most parked before such
// a moment may be gone, since they may have been parked there. Nothing else is
// excused, at_most_once least of all.
func (j *Judge) Forgetful(parked time.Duration, at ...time.Time) { j.parked, j.forgot = parked, at }

// Replaced tells that a Redis master was killed at these moments and a replica
// took over, which may lack what was written in the time behind before. Then the ids of
// messages taken in meanwhile may be unknown, their receipts unmatched, and
// receipts that were answered meanwhile and parked may be gone.
func (j *Judge) Replaced(behind time.Duration, at ...time.Time) { j.behind, j.replaced = behind, at }

// unreplicated reports whether what was written at t may have died with a master.
func (j *Judge) unreplicated(t time.Time) bool {
	return slices.ContainsFunc(j.replaced, func(at time.Time) bool {
		return !t.IsZero() && !t.After(at) && at.Sub(t) <= j.behind
	})
}

// Answered adds when a receipt was answered ESME_ROK.
func (j *Judge) Answered(messageID string, at time.Time) { j.message(messageID).answered = at }

// forgotten reports whether the receipt of m may have been lost with Redis.
func (j *Judge) forgotten(m *message) bool {
	return slices.ContainsFunc(j.forgot, func(t time.Time) bool {
		return !m.answered.IsZero() && !m.answered.After(t) && t.Sub(m.answered) <= j.parked
	})
}

// Submit adds one submit_sm of the SMSC's record.
func (j *Judge) Submit(s Submit) {
	j.recorded = true
	j.submits++
	f := j.cases[s.Job]
	if f == nil || s.Part < 1 || s.Part > f.job.Parts {
		j.stray = append(j.stray, fmt.Sprintf("submit_sm of job %q part %d, which nobody asked for", s.Job, s.Part))
		return
	}
	if s.MessageID == "" {
		return
	}
	m := j.message(s.MessageID)
	m.job, m.part, m.at = s.Job, s.Part, s.At
	f.accepted = append(f.accepted, m)
}

// result is what the judge reads of a result.
type result struct {
	ID                string `json:"id"`
	Kind              string `json:"kind"`
	JobID             string `json:"job_id"`
	Producer          string `json:"producer"`
	PossibleDuplicate bool   `json:"possible_duplicate"`
	Code              string `json:"code"`
	Parts             []struct {
		MessageID string `json:"message_id"`
	} `json:"parts"`
	MessageID string `json:"message_id"`
	Part      int    `json:"part"`
	State     string `json:"state"`
	Final     bool   `json:"final"`
	JobState  string `json:"job_state"`
}

// unmatchedProducer stands for the producer of a receipt whose job is unknown.
const unmatchedProducer = "_unmatched"

// Result adds one message of the results stream. The error is about JSON.
func (j *Judge) Result(data []byte) error {
	var r result
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("result %.100q: %w", data, err)
	}
	if kind, seen := j.resultID[r.ID]; seen {
		j.repeats++ // at least once: consumers drop what they have seen
		if kind != r.Kind {
			j.stray = append(j.stray, fmt.Sprintf("result %s came as %s and as %s", r.ID, kind, r.Kind))
		}
		return nil
	}
	j.resultID[r.ID] = r.Kind
	if r.Kind == "receipt" {
		j.receipt(&r)
		return nil
	}
	f := j.cases[r.JobID]
	if f == nil {
		j.stray = append(j.stray, fmt.Sprintf("%s result %s of job %q, which nobody published", r.Kind, r.ID, r.JobID))
		return nil
	}
	o := outcome{id: r.ID, kind: r.Kind, code: r.Code, possibleDuplicate: r.PossibleDuplicate}
	for _, p := range r.Parts {
		o.messageIDs = append(o.messageIDs, p.MessageID)
	}
	f.outcomes = append(f.outcomes, o)
	return nil
}

func (j *Judge) receipt(r *result) {
	key := r.Producer + " " + r.MessageID + " " + r.State
	if first, twice := j.receipts[key]; twice {
		j.stray = append(j.stray, fmt.Sprintf("receipt %s of message %s came as %s and as %s", r.State, r.MessageID, first, r.ID))
		return
	}
	j.receipts[key] = r.ID
	if !r.Final {
		return
	}
	m := j.message(r.MessageID)
	if r.Producer == unmatchedProducer {
		j.unmatched[r.MessageID] = struct{}{}
		m.receipt = max(m.receipt, receiptUnmatched)
		return
	}
	m.receipt, m.toJob, m.toPart = receiptMatched, r.JobID, r.Part
	f := j.cases[r.JobID]
	if f == nil {
		j.stray = append(j.stray, fmt.Sprintf("receipt %s of job %q, which nobody published", r.ID, r.JobID))
		return
	}
	if f.parts == nil {
		f.parts = make(map[int]struct{}, f.job.Parts)
	}
	f.parts[r.Part] = struct{}{}
	if r.JobState != "" {
		f.states++
	}
}

func (j *Judge) message(id string) *message {
	m := j.byID[id]
	if m == nil {
		m = &message{}
		j.byID[id] = m
	}
	return m
}

// Progress counts what has been settled so far; a caller waits by it.
type Progress struct {
	Outcomes int // jobs with at least one outcome
	Receipts int // messages with a final receipt, matched or not
}

// Progress counts.
func (j *Judge) Progress() Progress {
	var p Progress
	for _, f := range j.cases {
		if len(f.outcomes) > 0 {
			p.Outcomes++
		}
	}
	for _, m := range j.byID {
		if m.receipt != receiptNone {
			p.Receipts++
		}
	}
	return p
}
