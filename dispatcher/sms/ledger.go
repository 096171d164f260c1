package sms

import (
	"encoding/json"
	"time"
)

// JobRef names a job and carries what its receipts need, so that whoever
// holds a message id can publish without asking anything else.
type JobRef struct {
	Producer string          `json:"p"`
	JobID    string          `json:"j"`
	Route    string          `json:"r"`           // whose job it is
	Via      string          `json:"v,omitempty"` // the route that carries it, when Route cannot send; else empty
	Meta     json.RawMessage `json:"m,omitempty"`
	Attempt  int             `json:"a"`
	Doubt    bool            `json:"d,omitempty"` // an earlier attempt may have reached the SMSC
	Replay   int             `json:"n,omitempty"` // how often it was replayed after it had failed
	Stored   int64           `json:"-"`           // of a job that was delivered before: when it was published, Unix ms; 0 at the first delivery
	Trace    *Trace          `json:"-"`           // in which the attempt is; nil: in none that is sampled
}

// Carrier is the route whose SMSC has the job, or is to have it: message ids
// are that one's.
func (r *JobRef) Carrier() string {
	if r.Via != "" {
		return r.Via
	}
	return r.Route
}

// Claim is the answer of the ledger to a worker that wants to submit a job.
type Claim struct {
	State   ClaimState
	Token   string  // names this claim in later steps; the caller holds it when State is Fresh, Resumed or InDoubt
	Attempt int     // attempts begun before this one, as far as the ledger knows
	Doubt   bool    // an earlier attempt may have reached the SMSC
	Replay  int     // how often the job was replayed, as far as the ledger knows
	Via     string  // the claim's JobRef.Via: where the job was begun, if something of it is or may be there, else as it was asked for
	Parts   []Part  // parts accepted earlier; never to be sent again
	Outcome *Result // the recorded outcome, when Settled

	// Lost is set when the job is in doubt because it was delivered before and
	// the ledger has begun since: it may have forgotten the job.
	Lost time.Time
}

// ClaimState says what may be done with a job.
type ClaimState int

// Claim states.
const (
	ClaimFresh   ClaimState = iota // nobody has begun it
	ClaimResumed                   // an earlier attempt was handed back in good order, or had failed and is replayed
	ClaimInDoubt                   // an earlier attempt ended without a word; its parts may be at the SMSC. The claim is the caller's now
	ClaimBusy                      // another live worker has it; leave it alone
	ClaimSettled                   // it has its outcome
)

// Accepted is a positive answer of the SMSC to one part.
type Accepted struct {
	Part         int
	PartsTotal   int
	RawMessageID string
	At           time.Time
}

// Reply is the fate of one part that was handed to a bind. Err is nil when the
// SMSC accepted it; else it is an *Error whose Code tells a part that was
// never written (unavailable) from one that was never answered (uncertain).
type Reply struct {
	Part         int
	RawMessageID string
	Bind         string
	Latency      time.Duration // submit_sm written to submit_sm_resp read
	Err          error
}
