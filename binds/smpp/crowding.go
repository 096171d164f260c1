package smpp

import "github.com/linxGnu/gosmpp/data"

// Answers are judged in rounds. The figures are choices, not measurements.
const (
	roundAnswers = 64   // long enough to tell a habit from an accident
	leastCrowd   = 4    // refusals before a round is over that are more than an accident
	crowdedShare = 5    // one refusal in so many answers is more than numbers that do not exist come to
	calmRounds   = 256  // without a refusal, before a narrowed window gains a slot
	restRounds   = 4096 // of standing still after narrowing that changed nothing
)

// crowding finds the window that an SMSC really grants. One that grants less
// than it was said to refuses what is above it with ESME_RSUBMITFAIL or
// ESME_RMSGQFUL, which mean other things as well. What tells is that such
// refusals come in number and only while more messages are open than the SMSC
// grants, so never for a message that is alone. All of it is guarded by Session.mu.
type crowding struct {
	size  int // the window as configured
	limit int // the window in use, 1..size

	answers, refused int // of this round
	fewest           int // open calls at any refusal of this round
	calm, rest       int // rounds
}

// answered notes an answer that came while open calls, its own among them,
// were unanswered, and returns by how much limit has changed.
func (c *crowding) answered(status uint32, open int) (change int) {
	if status == uint32(data.ESME_RSUBMITFAIL) || status == uint32(data.ESME_RMSGQFUL) {
		if c.refused == 0 || open < c.fewest {
			c.fewest = open
		}
		c.refused++
	}
	if c.answers++; c.answers < roundAnswers {
		return 0
	}
	before := c.limit
	c.judge()
	c.answers, c.refused = 0, 0
	return c.limit - before
}

// resize takes another configured window and returns by how much limit has changed.
func (c *crowding) resize(size int) (change int) {
	before := c.limit
	if c.limit == c.size {
		c.limit = size
	}
	c.size, c.limit = size, min(c.limit, size)
	return c.limit - before
}

// suspected reports whether refusals seem to come of the number of open
// messages: the window is narrowed, or most answers of late say so.
func (c *crowding) suspected() bool {
	return c.limit < c.size || c.refused >= leastCrowd && crowdedShare*c.refused >= c.answers && c.fewest > 1
}

// Crowded reports whether the SMSC seems to refuse messages with
// ESME_RSUBMITFAIL because more are open than it grants.
func (s *Session) Crowded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.crowding.suspected()
}

// judge sets limit at the end of a round.
func (c *crowding) judge() {
	crowded := crowdedShare*c.refused >= c.answers
	switch {
	case c.rest > 0:
		c.rest--
	case crowded && c.fewest <= 1:
		// A message that was alone is refused for another reason.
		if c.limit < c.size {
			c.limit, c.rest = c.size, restRounds
		}
	case crowded:
		// One round more, for what was on its way.
		c.limit, c.calm, c.rest = max(1, min(c.limit-max(1, c.limit/8), c.fewest-1)), 0, 1
	case c.limit == c.size:
	case c.refused > 0:
		c.limit, c.calm = max(1, c.limit-1), 0
	default:
		if c.calm++; c.calm == calmRounds {
			c.limit, c.calm = c.limit+1, 0
		}
	}
}
