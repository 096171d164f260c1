package crash_test

import "github.com/shortwire-sms/shortwire/binds/smsctest"

// row is one point at which a worker is killed, and what must follow.
type row struct {
	point string // of package failpoint, with its pass
	after string // the step before it, as in DESIGN's crash table
	smsc  manner
	parts []int // sizes of jobs for which it exists; nil: 1 and 3
	then  func(job) fate
}

// job is the job that is in the worker's hands.
type job struct {
	parts      int
	atMostOnce bool
}

// fate is what must have become of the job in the end.
type fate struct {
	Kind     string // of its one outcome
	Doubt    bool   // possible_duplicate
	Accepted int    // messages that the SMSC took in
	Dead     uint64 // dead letters
}

// manner is how the SMSC behaves.
type manner int

const (
	prompt     manner = iota // answers at once, receipts follow
	late                     // the receipt comes when the job is long acked
	early                    // the receipt comes before the answer
	slow                     // answers after a while, receipts follow
	mute                     // never answers the first copy of a message, though its receipt comes
	busy                     // refuses each message the first time, for now
	full                     // refuses every message, for now
	picky                    // refuses every message for good
	busyForTwo               // refuses the second part the first time, for now
	unasked                  // hears nothing of the job, which is malformed
)

// once is the fate of a job that was never in doubt.
func once(j job) fate { return fate{Kind: "submitted", Accepted: j.parts} }

// doubt is the fate of a job that died with so many messages at the SMSC, of
// which so many were recorded: the others go out again, or nothing does.
func doubt(sent, recorded func(parts int) int) func(job) fate {
	return func(j job) fate {
		if j.atMostOnce {
			return fate{Kind: "uncertain", Doubt: true, Accepted: sent(j.parts)}
		}
		return fate{Kind: "submitted", Doubt: true, Accepted: sent(j.parts) + j.parts - recorded(j.parts)}
	}
}

// onceOrDoubt is for points after the record of the first part: of a job of one
// part that is the record of the job.
func onceOrDoubt(j job) fate {
	if j.parts == 1 {
		return once(j)
	}
	return doubt(all, first)(j)
}

func none(int) int      { return 0 }
func first(int) int     { return 1 }
func all(parts int) int { return parts }

// halfOf is how many whole messages half of a burst holds.
func halfOf(parts int) int { return parts / 2 }

func undelivered(j job) fate { return fate{Kind: "uncertain", Doubt: true, Dead: 1} }
func rejected(j job) fate    { return fate{Kind: "failed"} }
func invalid(j job) fate     { return fate{Kind: "failed", Dead: 1} }

var (
	single = []int{1}
	long   = []int{3}
)

// table is the crash table, in the order of the README.
var table = []row{
	{point: "before-claim", after: "before the claim", then: once},

	{point: "after-claim", after: "claimed, nothing written", then: doubt(none, none)},
	{point: "before-write", after: "claimed, about to be written", then: doubt(none, none)},
	{point: "mid-write", after: "half written", smsc: slow, then: doubt(halfOf, none)},
	{point: "after-write", after: "written", smsc: slow, then: doubt(all, none)},
	{point: "before-record", after: "answered, not recorded", then: doubt(all, none)},
	{point: "before-record:2", after: "one part recorded, another answered", parts: long, then: doubt(all, first)},
	{point: "after-record", after: "one part recorded", parts: long, then: doubt(all, first)},

	{point: "after-record", after: "recorded, its result not published", parts: single, then: once},
	{point: "after-record:3", after: "all parts recorded, the result not published", parts: long, then: once},
	{point: "after-publish", after: "result published, not acked", then: once},
	{point: "after-ack", after: "acked", then: once},

	{point: "receipt-received", after: "receipt received", smsc: late, then: once},
	{point: "receipt-looked-up", after: "receipt looked up", smsc: late, then: once},
	{point: "receipt-counted", after: "final state noted, receipt not published", smsc: late, then: once},
	{point: "receipt-counted:3", after: "job_state known, receipt not published", smsc: late, parts: long, then: once},
	{point: "receipt-published", after: "receipt published, not answered", smsc: late, then: once},
	{point: "receipt-published:3", after: "job_state published, not answered", smsc: late, parts: long, then: once},
	{point: "deliver-answered", after: "receipt answered", smsc: late, then: once},

	{point: "receipt-looked-up", after: "early receipt looked up", smsc: early, then: doubt(all, none)},
	{point: "receipt-parked", after: "early receipt parked, not indexed", smsc: early, then: doubt(all, none)},
	{point: "receipt-indexed", after: "early receipt parked, not answered", smsc: early, then: doubt(all, none)},
	{point: "deliver-answered", after: "early receipt parked and answered", smsc: early, then: doubt(all, none)},
	{point: "parked-found", after: "recorded, parked receipt found", smsc: early, then: onceOrDoubt},
	{point: "parked-decided", after: "parked receipt given to its job", smsc: early, then: onceOrDoubt},
	{point: "receipt-published", after: "parked receipt published, still parked", smsc: early, then: onceOrDoubt},
	{point: "due-decided", after: "parked receipt due, not published", smsc: mute, then: doubt(all, none)},
	{point: "due-published", after: "due receipt published, still parked", smsc: mute, then: doubt(all, none)},

	{point: "after-release", after: "refused for now, claim given back", smsc: busy, then: once},
	{point: "after-schedule", after: "retry scheduled, not acked", smsc: busy, then: once},
	{point: "after-release", after: "one part refused for now, claim given back", smsc: busyForTwo, parts: long, then: once},
	{point: "after-schedule", after: "retry of one part scheduled, not acked", smsc: busyForTwo, parts: long, then: once},
	{point: "after-bury", after: "dead letter buried, not settled", smsc: full, then: undelivered},
	{point: "after-bury", after: "malformed job buried, its result not published", smsc: unasked, parts: single, then: invalid},
	{point: "after-settle", after: "settled as failed, its result not published", smsc: picky, then: rejected},
	{point: "after-publish", after: "failed result published, not acked", smsc: picky, then: rejected},
}

// brief reports whether the row is one of the README's, and quick: the others
// are run by make crash only.
func (r row) brief() bool { return r.smsc == prompt || r.smsc == slow }

// config makes the simulator behave so.
func (m manner) config() smsctest.Config {
	var c smsctest.Config
	met := map[string]int{} // used by OnSubmit only
	again := func(s *smsctest.Submit) bool {
		key := string(s.ShortMessage)
		met[key]++
		return met[key] > 1
	}
	switch m {
	case late:
		c.Receipts.Delay = lateBy
	case slow:
		c.Latency = earlyBy
	case early:
		c.Receipts.Before, c.Latency = true, earlyBy
	case mute:
		c.Receipts.Before = true
		c.OnSubmit = func(s *smsctest.Submit) smsctest.Action { return smsctest.Action{Drop: !again(s)} }
	case busy:
		c.OnSubmit = func(s *smsctest.Submit) (a smsctest.Action) {
			if !again(s) {
				a.Status = smsctest.RSYSERR
			}
			return a
		}
	case busyForTwo:
		c.OnSubmit = func(s *smsctest.Submit) (a smsctest.Action) {
			if udh, _ := s.UserData(); len(udh) == 6 && udh[5] == 2 && !again(s) {
				a.Status = smsctest.RSYSERR
			}
			return a
		}
	case full:
		c.OnSubmit = func(*smsctest.Submit) smsctest.Action { return smsctest.Action{Status: smsctest.RSYSERR} }
	case picky:
		c.OnSubmit = func(*smsctest.Submit) smsctest.Action { return smsctest.Action{Status: smsctest.RINVDSTADR} }
	}
	return c
}
