package smsctest

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"time"
)

// Bind is a bind that was accepted.
type Bind struct {
	ID               uint64    `json:"bind"`
	SystemID         string    `json:"system_id"`
	CommandID        uint32    `json:"command_id"`
	InterfaceVersion uint8     `json:"interface_version"`
	SystemType       string    `json:"system_type,omitempty"`
	AddressRange     string    `json:"address_range,omitempty"`
	Remote           string    `json:"remote"`
	Since            time.Time `json:"since"`
	Until            time.Time `json:"until,omitzero"` // zero: bound now
	Unbound          bool      `json:"unbound"`        // by unbind, from either side
	Submits          uint64    `json:"submits"`
	MaxOutstanding   int64     `json:"max_outstanding"`
}

// Binds returns every bind there was, in order, also those that ended.
func (s *SMSC) Binds() []Bind {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Bind, len(s.history))
	for i, b := range s.history {
		out[i] = *b
	}
	return out
}

// admit checks a bind request and, if it may, enters it.
func (s *SMSC) admit(c *conn, r *BindRequest) uint32 {
	status := s.checkBind(c, r)
	if status == ROK && s.cfg.OnBind != nil {
		status = s.cfg.OnBind(r)
	}
	if status != ROK {
		s.count(func(st *Stats) { st.BindsNo[StatusName(status)]++ })
		s.recordBind("bind_refused", r, status)
		return status
	}
	c.acct = s.account(r.SystemID)
	s.mu.Lock()
	c.bind = &Bind{
		ID: c.id, SystemID: r.SystemID, CommandID: r.CommandID, InterfaceVersion: r.InterfaceVersion,
		SystemType: r.SystemType, AddressRange: r.AddressRange, Remote: r.Remote, Since: time.Now(),
	}
	s.history = append(s.history, c.bind)
	s.bound[r.SystemID]++
	s.stats.Binds++
	s.stats.BindsTotal++
	s.notifyLocked()
	s.mu.Unlock()
	s.recordBind("bind", r, ROK)
	return ROK
}

func (s *SMSC) checkBind(c *conn, r *BindRequest) uint32 {
	if c.acct != nil {
		return RALYNBD
	}
	if s.cfg.SystemID != "" || len(s.cfg.Credentials) > 0 {
		want, known := s.cfg.Credentials[r.SystemID]
		if !known && s.cfg.SystemID != "" && r.SystemID == s.cfg.SystemID {
			want, known = s.cfg.Password, true
		}
		switch {
		case !known:
			return RINVSYSID
		case want != r.Password:
			return RINVPASWD
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.MaxBinds > 0 && s.bound[r.SystemID] >= s.cfg.MaxBinds {
		return RALYNBD
	}
	return ROK
}

// unbound notes the client's unbind.
func (s *SMSC) unbound(c *conn) {
	s.mu.Lock()
	s.stats.Unbinds++
	s.leaveLocked(c, true)
	s.notifyLocked()
	s.mu.Unlock()
}

// gone notes the end of a connection.
func (s *SMSC) gone(c *conn) {
	s.mu.Lock()
	delete(s.conns, c.id)
	s.leaveLocked(c, false)
	s.notifyLocked()
	s.mu.Unlock()
}

// leaveLocked ends a bind once.
func (s *SMSC) leaveLocked(c *conn, unbound bool) {
	if c.bind == nil || !c.bind.Until.IsZero() {
		return
	}
	c.bind.Until = time.Now()
	c.bind.Unbound = c.bind.Unbound || unbound
	s.bound[c.bind.SystemID]--
	s.stats.Binds--
	if !c.bind.Unbound && !s.closed {
		s.stats.Lost++
	}
	if s.rec != nil {
		s.rec.write(struct {
			Event string `json:"ev"`
			Bind
		}{"bind_ended", *c.bind})
	}
}

// Unbind sends unbind on every bind and returns how many there were. A
// connection closes when its unbind_resp comes.
func (s *SMSC) Unbind() int {
	return s.eachBound(func(c *conn) {
		s.mu.Lock()
		c.bind.Unbound = true
		s.mu.Unlock()
		c.acct.detach(c)
		c.send(PDU{CommandID: Unbind, Sequence: c.sequence()}.Append(nil))
	})
}

// SendEnquireLink sends enquire_link on every bind and returns how many there
// were.
func (s *SMSC) SendEnquireLink() int {
	return s.eachBound(func(c *conn) { c.enquire() })
}

// CutConnections drops every connection, bound or not, without a PDU (over TCP
// by a reset), and returns how many there were.
func (s *SMSC) CutConnections() int {
	all := s.all()
	for _, c := range all {
		c.cut()
	}
	return len(all)
}

// Cut drops the connection of one bind.
func (s *SMSC) Cut(bind uint64) error {
	c, err := s.conn(bind)
	if err != nil {
		return err
	}
	c.cut()
	return nil
}

func (c *conn) cut() {
	if tcp, ok := c.nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.kill()
}

// Send writes raw octets on one bind, in order with everything else.
func (s *SMSC) Send(bind uint64, octets []byte) error {
	c, err := s.conn(bind)
	if err != nil {
		return err
	}
	c.send(octets)
	return nil
}

func (s *SMSC) conn(bind uint64) (*conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.conns[bind]
	if !ok {
		return nil, fmt.Errorf("smsctest: no connection %d", bind)
	}
	return c, nil
}

func (s *SMSC) eachBound(do func(*conn)) int {
	n := 0
	for _, c := range s.all() {
		s.mu.Lock()
		bound := c.bind != nil && c.bind.Until.IsZero()
		s.mu.Unlock()
		if bound {
			do(c)
			n++
		}
	}
	return n
}

// Stall stops reading and writing on all connections, which stay open, until
// Resume. A read that is under way may still take in what comes, unhandled.
func (s *SMSC) Stall() { s.gate.close() }

// Resume ends Stall.
func (s *SMSC) Resume() { s.gate.open() }

// HoldDeliveries keeps back every deliver_sm and data_sm that is not on the wire
// yet, until ReleaseDeliveries.
func (s *SMSC) HoldDeliveries() { s.holding.Store(true) }

// ReleaseDeliveries ends HoldDeliveries.
func (s *SMSC) ReleaseDeliveries() {
	s.holding.Store(false)
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.accounts))
	s.mu.Unlock()
	for _, a := range all {
		a.enqueue()
	}
}

// hold keeps an answer back for ReleaseHeld.
func (s *SMSC) hold(a *answer) {
	s.mu.Lock()
	s.held = append(s.held, a)
	s.mu.Unlock()
}

// ReleaseHeld sends every held answer, in the order of the submits or in the
// reverse order, and returns how many there were. Their receipts follow.
func (s *SMSC) ReleaseHeld(reverse bool) int {
	s.mu.Lock()
	held := s.held
	s.held = nil
	s.notifyLocked()
	s.mu.Unlock()
	for i := range held {
		a := held[i]
		if reverse {
			a = held[len(held)-1-i]
		}
		a.c.answerLater(a)
		a.c.wake()
		for j, d := range a.follow {
			s.sched.after(a.delays[j], event{d: d})
		}
	}
	return len(held)
}

// MO is a message from a handset.
type MO struct {
	SystemID    string // the account that gets it
	Source      string
	Destination string
	ESMClass    uint8
	DataCoding  uint8
	// ShortMessage is cut to 254 octets; longer ones go as a message_payload
	// in TLVs.
	ShortMessage []byte
	TLVs         []TLV
	DataSM       bool // data_sm, with ShortMessage as its message_payload
}

// DeliverMO sends a deliver_sm or data_sm over a receiving bind of the account, now or
// when there is one; it is repeated like a receipt until it is settled. With
// an ESMClass of 0x04 it is a receipt that nobody asked for.
func (s *SMSC) DeliverMO(mo MO) {
	b := []byte{0, 1, 1} // service_type, international, ISDN
	b = AppendCString(b, mo.Source)
	b = append(b, 1, 1)
	b = AppendCString(b, mo.Destination)
	command := DeliverSM
	if mo.DataSM {
		command = DataSM
		b = append(b, mo.ESMClass, 0, mo.DataCoding)
		b = AppendTLV(b, TagMessagePayload, mo.ShortMessage)
	} else {
		sm := mo.ShortMessage[:min(len(mo.ShortMessage), 254)]
		b = append(b, mo.ESMClass, 0, 0, 0, 0, 0, 0, mo.DataCoding, 0, byte(len(sm)))
		b = append(b, sm...)
	}
	for _, t := range mo.TLVs {
		b = AppendTLV(b, t.Tag, t.Value)
	}
	d := &delivery{
		rec:       Delivery{Kind: KindMO, SystemID: mo.SystemID, Source: mo.Source, Destination: mo.Destination, Created: time.Now()},
		acct:      s.account(mo.SystemID),
		commandID: command,
		body:      b,
	}
	s.mu.Lock()
	s.made(d)
	s.notifyLocked()
	s.mu.Unlock()
	d.acct.enqueue(d)
}
