package smsctest

import (
	"time"
)

// handle does what one PDU asks for. An error ends the connection after what
// is in the burst.
func (c *conn) handle(frame []byte) error {
	p := parseHeader(frame)
	p.Body = frame[headerOctets:]
	if c.s.cfg.OnPDU != nil {
		c.flush() // what came before is answered and recorded before the hook looks
		if reply, handled := c.s.cfg.OnPDU(c.id, p); handled {
			c.b.out = append(c.b.out, reply...)
			return nil
		}
	}
	switch p.CommandID {
	case SubmitSM, DataSM:
		return c.submit(frame)
	case DeliverSMResp, DataSMResp:
		if c.acct != nil {
			c.b.acks = append(c.b.acks, ack{id: p.CommandID, seq: p.Sequence, status: p.Status})
		}
	case EnquireLink:
		c.b.enquiry++
		c.b.out = c.s.cfg.Quirks.appendEnquireLinkResp(c.b.out, p.Sequence)
	case EnquireLinkResp:
		c.b.alive++
	case BindReceiver, BindTransmitter, BindTransceiver:
		return c.bindRequest(p)
	case Unbind:
		c.unbindRequest(p)
	case UnbindResp:
		c.s.count(func(st *Stats) { st.UnbindResp++ })
		return errHangUp
	case GenericNack:
		c.b.nacks++
	default:
		if p.CommandID&respBit == 0 { // a response is never nacked
			c.b.out = appendHeader(c.b.out, headerOctets, GenericNack, RINVCMDID, p.Sequence)
		}
	}
	return nil
}

func (c *conn) bindRequest(p PDU) error {
	cur := cursor{b: p.Body, s: string(p.Body)}
	r := BindRequest{
		Bind: c.id, CommandID: p.CommandID, Sequence: p.Sequence,
		SystemID: cur.cString(), Password: cur.cString(), SystemType: cur.cString(),
		InterfaceVersion: cur.octet(), AddrTON: cur.octet(), AddrNPI: cur.octet(),
		AddressRange: cur.cString(), Remote: c.nc.RemoteAddr().String(),
	}
	c.flush()
	status := RINVCMDLEN
	if cur.err == nil {
		status = c.s.admit(c, &r)
	}
	c.s.cfg.Logger.Debug("bind", "bind", c.id, "system_id", r.SystemID, "status", status)
	switch status {
	case NoAnswer:
		return nil
	case CloseConnection:
		return errHangUp
	case ROK:
		c.answerBind(p, status, func() { c.bound(p.CommandID) })
	default:
		c.answerBind(p, status, func() {})
	}
	return nil
}

// answerBind sends the response, and what the quirks put before it, now or
// later, and then calls next.
func (c *conn) answerBind(p PDU, status uint32, next func()) {
	q := &c.s.cfg.Quirks
	for _, early := range q.BeforeBound {
		c.b.out = early.Append(c.b.out)
	}
	p.Body = nil // of the reader's buffer
	respond := func() {
		c.send(q.bindResponse(p, status))
		next()
	}
	c.flush()
	if q.BindDelay > 0 {
		c.s.sched.after(q.BindDelay, event{call: respond})
		return
	}
	respond()
}

// bound begins what the simulator does on its own: deliveries and
// enquire_link.
func (c *conn) bound(command uint32) {
	c.tx.Store(command != BindReceiver)
	if command != BindTransmitter {
		c.acct.attach(c)
	}
	if every := c.s.cfg.EnquireLink; every > 0 {
		var tick func()
		tick = func() {
			if c.enquire() {
				c.s.sched.after(every, event{call: tick})
			}
		}
		c.s.sched.after(every, event{call: tick})
	}
}

// enquire sends an enquire_link; false when the connection is ending.
func (c *conn) enquire() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead || c.closing {
		return false
	}
	c.out = appendHeader(c.out, headerOctets, EnquireLink, ROK, c.sequence())
	c.cond.Broadcast()
	return true
}

// unbindRequest answers unbind once every scheduled submit_sm_resp is out.
func (c *conn) unbindRequest(p PDU) {
	c.tx.Store(false)
	c.flush()
	c.s.unbound(c)
	if c.acct != nil {
		c.acct.detach(c)
	}
	p.Body = nil
	c.mu.Lock()
	c.unbind = &p
	c.answerUnbindLocked()
	c.mu.Unlock()
	c.wake()
}

func (c *conn) answerUnbindLocked() {
	if c.unbind == nil || c.later > 0 || c.s.cfg.Quirks.NoUnbindResp {
		return
	}
	c.out = appendHeader(c.out, headerOctets, UnbindResp, ROK, c.unbind.Sequence)
	c.unbind = nil
	c.s.sched.after(closeLinger, event{call: c.finish})
}

func (c *conn) submit(frame []byte) error {
	m, err := parseSubmit(append([]byte(nil), frame...))
	m.Time, m.Bind = c.b.now, c.id
	depth := c.outstanding.Add(1)
	c.b.deepest = max(c.b.deepest, depth)
	cfg := &c.s.cfg
	switch {
	case err != nil:
		m.Fault = err.Error()
		c.refuse(m, RINVCMDLEN)
		return nil
	case !c.tx.Load():
		c.refuse(m, RINVBNDSTS)
		return nil
	}
	m.SystemID = c.acct.systemID
	if cfg.Window > 0 && depth > int64(cfg.Window) {
		c.refuse(m, cfg.WindowStatus)
		if cfg.Quirks.WindowClose {
			return errHangUp
		}
		return nil
	}
	if cfg.Rate > 0 && !c.acct.allow(m.Time, cfg.Rate, cfg.Burst) {
		c.refuse(m, RTHROTTLED)
		return nil
	}
	return c.apply(m, c.decide(m))
}

func (a *account) allow(now time.Time, rate float64, burst int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bucket.take(now, rate, burst)
}

// refuse answers at once.
func (c *conn) refuse(m *Submit, status uint32) {
	m.Status, m.Answer = status, AnswerResp
	c.b.submits = append(c.b.submits, m)
	c.b.settled++
	c.b.out = appendHeader(c.b.out, headerOctets, m.response(), status, m.Sequence)
}

// answer is what a submit_sm is answered with, now or later.
type answer struct {
	c       *conn
	m       *Submit
	a       Action
	follow  []*delivery // receipts of a held answer, due when it is released
	delays  []time.Duration
	hangUp  bool
	counted bool // in conn.later
}

func (a *answer) append(b []byte) []byte {
	m := a.m
	switch {
	case a.a.Body != nil:
		return PDU{CommandID: SubmitSMResp, Status: m.Status, Sequence: m.Sequence, Body: a.a.Body}.Append(b)
	case a.a.Raw != nil:
		return append(b, a.a.Raw...)
	case a.a.Nack:
		status := m.Status
		setDefault(&status, RINVCMDID)
		return appendHeader(b, headerOctets, GenericNack, status, m.Sequence)
	case m.Status != ROK:
		return appendHeader(b, headerOctets, m.response(), m.Status, m.Sequence) // no body: §4.4.2
	}
	b = appendHeader(b, headerOctets+len(m.MessageID)+1, m.response(), ROK, m.Sequence)
	return AppendCString(b, m.MessageID)
}

func (a *Action) answer() Answer {
	switch {
	case a.Close:
		return AnswerClose
	case a.Drop:
		return AnswerNone
	case a.Hold:
		return AnswerHeld
	case a.Raw != nil:
		return AnswerRaw
	case a.Nack:
		return AnswerNack
	default:
		return AnswerResp
	}
}

// apply carries out the decision about m.
func (c *conn) apply(m *Submit, a Action) error {
	m.Status, m.Answer = a.Status, a.answer()
	if m.Status == ROK && !a.EmptyID {
		m.MessageID = a.MessageID
		if m.MessageID == "" {
			m.num = lastID.Add(1)
			m.MessageID = c.s.cfg.IDs.Submit.Format(m.num)
		}
	}
	c.b.submits = append(c.b.submits, m)
	ans := &answer{c: c, m: m, a: a, hangUp: a.Close || a.CloseAfter}
	delay := c.jittered(c.s.cfg.Latency, c.s.cfg.Jitter) + a.Delay
	var hangUp error
	switch {
	case m.Answer == AnswerNone:
		c.b.settled++
	case m.Answer == AnswerHeld:
		c.s.hold(ans)
	case delay > 0:
		ans.counted = true
		c.mu.Lock()
		c.later++
		c.mu.Unlock()
		c.s.sched.after(delay, event{ans: ans})
	default:
		c.b.settled++
		c.b.out = ans.write(c.b.out)
		if ans.hangUp {
			hangUp = errHangUp
		}
	}
	if m.Status == ROK {
		c.plan(ans, delay)
	}
	return hangUp
}

// write appends the answer as often as it is to be sent; not at all when the
// connection closes instead.
func (a *answer) write(b []byte) []byte {
	if a.m.Answer == AnswerClose {
		return b
	}
	b = a.append(b)
	if a.a.Duplicate {
		b = a.append(b)
	}
	return b
}

// plan makes the receipts of a message that was taken in.
func (c *conn) plan(ans *answer, delay time.Duration) {
	for _, r := range c.receipts(ans.m, &ans.a) {
		d := c.newReceipt(ans.m, r)
		c.b.made = append(c.b.made, d)
		switch {
		case r.Before:
			c.b.before = append(c.b.before, d)
		case ans.m.Answer == AnswerHeld:
			ans.follow = append(ans.follow, d)
			ans.delays = append(ans.delays, r.Delay)
		case delay+r.Delay > 0:
			c.s.sched.after(delay+r.Delay, event{d: d})
		default:
			c.b.after = append(c.b.after, d)
		}
	}
}

// answerLater puts an answer whose time has come into the buffer; the caller
// wakes the writer.
func (c *conn) answerLater(a *answer) {
	c.outstanding.Add(-1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = a.write(c.out)
	if a.counted {
		c.later--
	}
	if a.hangUp {
		c.closing = true
	}
	c.answerUnbindLocked()
}
