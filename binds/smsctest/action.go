package smsctest

import "time"

// Action is what to do about one submit_sm. The zero value takes the message
// in and answers it.
//
// Status decides whether the message is taken in (gets an id, counts as
// accepted, has receipts); the other fields decide how that is answered. So
// Action{Drop: true} is a response that was lost, and
// Action{Drop: true, Status: RSYSERR} a request that was.
type Action struct {
	Status    uint32        // ROK takes the message in
	MessageID string        // instead of a generated one; receipts repeat it as it is
	EmptyID   bool          // accepted without a message id
	Delay     time.Duration // to the answer, on top of Config.Latency

	Drop       bool   // no answer
	Hold       bool   // no answer until ReleaseHeld
	Close      bool   // close the connection instead of answering
	CloseAfter bool   // close the connection after answering
	Nack       bool   // answer with generic_nack (of Status, or ESME_RINVCMDID)
	Duplicate  bool   // answer twice
	Raw        []byte // sent in place of the answer
	Body       []byte // of the response, whatever its status, in place of a message id; non-nil and empty for none

	NoReceipt bool
	// Receipts replace the one that registered_delivery and the configuration
	// would make.
	Receipts []Receipt

	ifAsked bool // of Receipts only those that registered_delivery asks for
}

// Receipt is a receipt as a test wants it.
type Receipt struct {
	Delay        time.Duration // from the answer to the submit_sm
	Before       bool          // at once, ahead of the answer; Delay is ignored
	State        string        // "DELIVRD"; default DELIVRD
	Err          string        // the err field; default by State
	ID           string        // written as the id in text and TLV instead of the message id
	Intermediate bool          // esm_class 0x20 instead of 0x04
	DataSM       bool          // data_sm with message_payload instead of deliver_sm
	Text         string        // the whole text, verbatim
	TLVs         []TLV         // instead of those that Config.Receipts.Format gives; non-nil and empty for none
}

// decide asks, in order, faults, magic numbers and OnSubmit.
func (c *conn) decide(m *Submit) Action {
	if a, hit := c.drawFault(); hit {
		return a
	}
	if c.s.cfg.Magic {
		if a, hit := c.s.magic.decide(m); hit {
			return a
		}
	}
	if c.s.cfg.OnSubmit != nil {
		c.flush() // what came before is answered and recorded before the hook looks
		return c.s.cfg.OnSubmit(m)
	}
	return Action{}
}

func (c *conn) drawFault() (Action, bool) {
	f := &c.s.cfg.Faults
	switch {
	case c.draw(f.Error):
		return Action{Status: f.ErrorStatus}, true
	case c.draw(f.Throttle):
		return Action{Status: RTHROTTLED}, true
	case c.draw(f.Drop):
		return Action{Status: RSYSERR, Drop: true}, true
	case c.draw(f.Mute):
		return Action{Drop: true}, true
	case c.draw(f.Close):
		return Action{Status: RSYSERR, Close: true}, true
	}
	return Action{}, false
}

// draw is true with probability p and asks for no random number at 0.
func (c *conn) draw(p float64) bool { return p > 0 && c.rng.Float64() < p }
