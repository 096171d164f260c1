package dispatcher

import (
	"context"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// The ports: what the pipeline needs of the world. Adapters implement them
// and app wires them.

// Source delivers the jobs of one route and lane, first deliveries and due
// retries alike.
type Source interface {
	// Consume calls handle for each delivery until ctx ends, never more than
	// prefetch ahead of handle's return. handle may block. Deliveries that
	// were fetched and not handed to handle when ctx ends go back to the
	// server. It recovers from everything but a missing stream.
	Consume(ctx context.Context, route string, lane sms.Lane, prefetch int, handle func(Delivery)) error
	// Overtake does the same with those jobs of the lane that lie behind many
	// of another producer while Consume has no room for more. A job comes
	// from either, seldom from both. It runs beside Consume.
	Overtake(ctx context.Context, route string, lane sms.Lane, prefetch int, handle func(Delivery)) error
}

// Delivery is one delivered job. The source keeps it from being redelivered
// until one of Ack and HandBack is called; exactly one of them must be.
type Delivery interface {
	Origin() sms.Origin
	Data() []byte
	Header(key string) string
	Attempt() int                 // 1-based; retries count up
	Doubt() bool                  // an earlier attempt may have reached the SMSC
	Before() Before               // what is known of attempts before this one, from elsewhere than the ledger
	Stored() time.Time            // when the server stored it; zero when that is not known
	Ack()                         // its outcome, retry or dead letter is durable
	HandBack(after time.Duration) // not ended: any worker may have it again, but not before after
}

// Before is what a delivery knows of what was before it. The ledger knows more,
// unless it was lost.
type Before struct {
	Replay int        // how often the job was a dead letter and was replayed
	Parts  []sms.Part // that the SMSC accepted, of a retry or replay; rising
	Via    string     // the route that has these, or may have the job when that is in doubt; empty for the job's own
	Stored int64      // when the job was stored, Unix ms, if it was delivered before; else 0
}

// Publisher makes results durable. PublishThen returns at once; done is called
// once the server has acknowledged the result, or when ctx ends, and must not
// block. Through disconnections it is tried again.
type Publisher interface {
	PublishThen(ctx context.Context, r *sms.Result, done func(error))
}

// Retrier stores a job for another attempt. Schedule returns once it is durable.
type Retrier interface {
	Schedule(ctx context.Context, r Retry) error
}

// Retry is a job waiting for another attempt.
type Retry struct {
	At      time.Time
	JobID   string
	Attempt int        // the number the next attempt will have
	Doubt   bool       // an earlier attempt may have reached the SMSC
	InHand  bool       // a worker has the job in hand: without a ledger that says more, it is in doubt
	Parts   []sms.Part // that the SMSC accepted so far
	Via     string     // as Before has it
	Trace   *sms.Trace // of the attempt, which the next one follows unless the producer's is known; nil: none
	Of      Delivery
}

// Morgue stores jobs that could not be handled, with their original bytes.
// Bury returns once it is durable.
type Morgue interface {
	Bury(ctx context.Context, d DeadLetter) error
}

// DeadLetter is a job that could not be handled.
type DeadLetter struct {
	Of      Delivery
	Ref     sms.JobRef  // JobID is empty when the job does not name itself
	Outcome *sms.Result // how it ended: why, the SMSC's last answer, what it accepted
}

// Ledger remembers which jobs were begun, which parts the SMSC has, and how
// jobs ended. Every call is one round trip, blocks while the store is away but
// for those that only begin it, and fails only when ctx ends, or when another
// worker took the claim over: the outcome is that one's to tell.
type Ledger interface {
	// Claim asks for the job, in one atomic step.
	Claim(ctx context.Context, ref sms.JobRef) (sms.Claim, error)
	// ClaimThen is Claim without waiting. answered is called once, possibly
	// before ClaimThen returns, and must not block.
	ClaimThen(ctx context.Context, ref *sms.JobRef, answered func(sms.Claim, error))
	// Accept records an accepted part: its message id → job correlation and
	// the job's progress; parts is what was accepted before it. When outcome is not nil the
	// job is settled with it in the same step, outcome.Parts then gains the part.
	// Receipts that were parked under the id are published. The part
	// is returned with its message id by the route's rule.
	Accept(ctx context.Context, ref sms.JobRef, token string, a sms.Accepted, parts []sms.Part, outcome *sms.Result) (sms.Part, error)
	// AcceptThen is Accept without waiting, as ClaimThen is Claim.
	AcceptThen(ctx context.Context, ref *sms.JobRef, token string, a sms.Accepted, parts []sms.Part, outcome *sms.Result, recorded func(sms.Part, error))
	// Settle records the outcome of a job that was claimed with token.
	Settle(ctx context.Context, ref sms.JobRef, token string, outcome *sms.Result) error
	// Release hands a claim back: the next Claim answers Resumed with these parts.
	Release(ctx context.Context, ref sms.JobRef, token string, parts []sms.Part) error
}

// Binds is the send side of one route's binds.
type Binds interface {
	// Reserve takes n window slots on one bind without blocking. When there
	// are not that many free it returns nil and what is short.
	Reserve(n int) (Reservation, Shortage)
	// Bound counts the sessions that can take messages.
	Bound() int
	// Notify registers a function that is called, without locks held,
	// whenever Reserve may have become possible. It must not block.
	Notify(func())
}

// Reservation is n free window slots on one bind. It is no longer the
// caller's after Release, once Next has returned false, or once SendThen's
// function has returned.
type Reservation interface {
	// Send writes the messages, at most n, without waiting for replies. ref
	// travels along for answers that come after their timeout.
	Send(ctx context.Context, ref sms.JobRef, msgs []*sms.Message)
	// Next waits for the next reply, in the order of arrival, and returns false
	// when each message has had one; it must be called until then. Slots come
	// free as replies arrive. When ctx ends the unanswered messages are
	// uncertain, the unwritten ones unavailable.
	Next(ctx context.Context) (sms.Reply, bool)
	// SendThen writes one message and returns at once. answered is called with
	// its reply, possibly before SendThen returns, and must not block.
	SendThen(ref *sms.JobRef, m *sms.Message, answered func(sms.Reply))
	// Abandon ends the interest in what SendThen wrote and has no reply. It
	// reports whether that is so: answered is not called then, and the message
	// is uncertain.
	Abandon() bool
	// Release gives the slots back unused. Not after Send or SendThen.
	Release()
}

// Shortage says why a reservation failed.
type Shortage struct {
	Reason Limit
	Wait   time.Duration // when it passes by time alone; 0: Notify will tell
}

// Limiter is the route's token bucket.
type Limiter interface {
	// Take takes n tokens, or none and says how long until it may succeed.
	// n is at most Burst.
	Take(n int) (wait time.Duration)
	Burst() int // 0 means unlimited
}

// FleetLimiter is a Limiter that other workers draw from as well, and that slows
// down while the SMSC asks for it. A Limiter that is none only limits.
type FleetLimiter interface {
	Limiter
	// Notify registers turn, which is called, without locks held, when Take may
	// succeed earlier than it said, and waiting, which says how many tokens
	// there is work for, and whether there is room for that at the SMSC.
	// Neither blocks.
	Notify(turn func(), waiting func() (tokens int, room bool))
	// TakeUrgent is Take for a message that goes before others, for which Take
	// leaves some tokens.
	TakeUrgent(n int) (wait time.Duration)
	// Lasts is how long after the last Take its tokens may still be spent.
	Lasts() time.Duration
	// Accepted hears that the SMSC took a message written at sent.
	Accepted(sent time.Time)
	// Throttled hears that a message written at sent was refused because
	// messages come too fast.
	Throttled(sent time.Time)
	// Throttling reports whether the last Take had to wait because the SMSC
	// asked to slow down, CutOff whether for want of what the workers share.
	Throttling() bool
	CutOff() bool
}

// Limit is what keeps a route from sending faster, from a closed set.
type Limit string

// Limits.
const (
	LimitNone      Limit = "no_jobs"
	LimitRate      Limit = "rate"
	LimitThrottled Limit = "throttled" // the SMSC asked to slow down
	LimitRedis     Limit = "redis"     // away, or most jobs in hand wait for it; also no tokens for want of it
	LimitNATS      Limit = "nats"      // away or refuses results, or most jobs in hand wait for it
	LimitCPU       Limit = "cpu"       // the process has used nearly all it may, or the machine has none left
	LimitWindow    Limit = "window"
	LimitNoBind    Limit = "no_bind"
	LimitStandby   Limit = "standby" // no lease on a bind: other workers have all that the account may have, or Redis does not say
	LimitAccount   Limit = "account" // paused: the SMSC refuses the account
	LimitPaused    Limit = "paused"  // by an operator: all that wait, or could, are of lanes that are paused
)

// Limits lists every Limit, in the order above.
func Limits() []Limit {
	return []Limit{LimitNone, LimitRate, LimitThrottled, LimitRedis, LimitNATS, LimitCPU, LimitWindow, LimitNoBind, LimitStandby, LimitAccount, LimitPaused}
}
