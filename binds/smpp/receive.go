package smpp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// peerUnbindGrace is how long the answers to open calls are awaited before the
// peer's unbind is answered.
const peerUnbindGrace = 2 * time.Second

// readLoop takes PDUs until the connection fails. Nothing in it waits for a
// handler, a submitter or the writer.
func (s *Session) readLoop(ctx context.Context) error {
	for _, in := range s.early {
		s.accept(ctx, in)
	}
	s.early = nil
	for {
		f, err := s.frames.next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("connection closed by peer: %w", err)
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		s.stats.inbound.Add(1)
		s.handle(ctx, f)
	}
}

func (s *Session) handle(ctx context.Context, f frame) {
	switch f.command {
	case cmdSubmitSMResp:
		s.complete(f, decodeMessageID(f.body))
	case cmdGenericNack:
		s.stats.nacks.Add(1)
		s.complete(f, "")
	case cmdDeliverSM, cmdDataSM:
		in, err := newInbound(f)
		if err != nil {
			s.log.Warn("unreadable message refused", "command_id", f.command, "sequence", f.sequence, "octets", len(f.body), "error", err)
			s.reply(func(b []byte) []byte {
				return appendResponse(b, f.command|responseBit, StatusInvCmdLen, f.sequence)
			})
			return
		}
		s.accept(ctx, in)
	case cmdEnquireLink:
		s.replyHeader(cmdEnquireLinkResp, StatusOK, f.sequence)
	case cmdUnbind:
		s.answerUnbind(ctx, f.sequence)
	case cmdEnquireLinkResp, cmdUnbindResp:
		s.answerControl(f)
	case cmdOutbind, cmdAlertNotification:
		// Neither has a response (§4.1.7, §4.12.1) and neither changes anything here.
	default:
		if f.command&responseBit != 0 {
			s.stats.unmatched.Add(1)
			return
		}
		s.log.Warn("unknown command refused", "command_id", f.command, "sequence", f.sequence)
		s.replyHeader(cmdGenericNack, StatusInvCmdID, f.sequence)
	}
}

func newInbound(f frame) (*Inbound, error) {
	m, err := decodeMessage(f.command, f.body)
	if err != nil {
		return nil, err
	}
	return &Inbound{Command: f.command, Sequence: f.sequence, Received: time.Now(), Message: m}, nil
}

// complete ends the call that a submit_sm_resp or generic_nack answers.
func (s *Session) complete(f frame, id string) {
	s.mu.Lock()
	c := s.calls.get(f.sequence)
	if c != nil {
		s.calls.remove(c)
		s.notifyLocked()
		s.mu.Unlock()
		s.stats.responses.Add(1)
		c.Status, c.MessageID = f.status, id
		if f.command == cmdGenericNack && f.status == StatusOK {
			c.Status = StatusInvCmdID // a nack is never an acceptance
		}
		c.Latency = time.Duration(s.clock.lastRead.Load()) - c.sentAt
		if c.abandoned {
			s.reportLate(c, c.Status, id)
		}
		s.deliver(c)
		return
	}
	dead := s.late.take(f.sequence)
	s.mu.Unlock()
	switch {
	case dead != nil && f.command == cmdSubmitSMResp:
		s.reportLate(dead, f.status, id)
	case dead != nil:
	case f.command == cmdGenericNack:
		s.answerControl(f)
	default:
		s.stats.unmatched.Add(1)
	}
}

// reportLate passes on an acceptance that nobody waits for any more.
func (s *Session) reportLate(c *Call, status uint32, id string) {
	s.stats.late.Add(1)
	if status == StatusOK && s.cfg.Late != nil {
		s.cfg.Late(c.burst.ref, sms.Accepted{Part: c.Part, PartsTotal: c.PartsTotal, RawMessageID: id, At: time.Now()})
	}
}

// answerControl passes the answer to an enquire_link or unbind to its sender.
// Answers to the housekeeper's enquire_link have nobody waiting: that they
// came is all there is to them.
func (s *Session) answerControl(f frame) {
	s.mu.Lock()
	r, ok := s.control[f.sequence]
	ok = ok && (f.command == r.response || f.command == cmdGenericNack)
	if ok {
		delete(s.control, f.sequence)
	}
	s.mu.Unlock()
	if ok {
		r.answer <- f.status
		return
	}
	if f.command != cmdGenericNack {
		return
	}
	s.stats.unmatched.Add(1)
	s.log.Warn("generic_nack of nothing that was sent", "sequence", f.sequence, "status", f.status)
	if f.status == StatusInvCmdLen {
		s.fail(ErrNacked)
	}
}

// accept has a handler take the message, or tells the SMSC to keep it.
func (s *Session) accept(ctx context.Context, in *Inbound) {
	s.mu.Lock()
	full := s.cfg.Handler == nil || len(s.inbox) >= s.cfg.MaxQueued
	begin := false
	if !full {
		s.inbox = append(s.inbox, in)
		if begin = s.handling < s.cfg.MaxHandlers; begin {
			s.handling++
		}
	}
	s.mu.Unlock()
	if full {
		s.stats.refused.Add(1)
		s.reply(func(b []byte) []byte {
			return appendResponse(b, in.Command|responseBit, StatusTemporary, in.Sequence)
		})
		return
	}
	if begin {
		s.handlers.Go(func() { s.serveInbox(ctx) })
	}
}

// serveInbox handles one message after another until none waits: under load
// a goroutine whose stack has grown is used again, at rest there is none.
func (s *Session) serveInbox(ctx context.Context) {
	for {
		s.mu.Lock()
		if len(s.inbox) == 0 || ctx.Err() != nil {
			s.inbox = nil
			s.handling--
			s.notifyLocked()
			s.mu.Unlock()
			return
		}
		in := s.inbox[0]
		s.inbox[0] = nil
		s.inbox = s.inbox[1:]
		s.mu.Unlock()

		// Those whose responses came before go first: a receipt that is looked
		// up before its message id is recorded costs a detour.
		runtime.Gosched()
		status := s.cfg.Handler(ctx, in)
		s.reply(func(b []byte) []byte {
			return appendResponse(b, in.Command|responseBit, status, in.Sequence)
		})
	}
}

// answerUnbind lets open calls and handlers end, answers the peer's unbind
// and waits, bounded, for the peer to close.
func (s *Session) answerUnbind(ctx context.Context, sequence uint32) {
	s.mu.Lock()
	again := s.peerUnbind
	s.peerUnbind = true
	s.stopSubmitsLocked()
	s.mu.Unlock()
	if again {
		s.replyHeader(cmdUnbindResp, StatusOK, sequence)
		return
	}
	s.handlers.Go(func() {
		grace, cancel := context.WithTimeout(ctx, peerUnbindGrace)
		defer cancel()
		s.waitFor(grace, func() bool { return s.calls.n == 0 && s.handling == 0 })
		s.replyHeader(cmdUnbindResp, StatusOK, sequence)
		closing, cancel := context.WithTimeout(ctx, s.cfg.UnbindTimeout)
		defer cancel()
		s.waitFor(closing, func() bool { return false })
		s.fail(ErrPeerUnbind)
	})
}
