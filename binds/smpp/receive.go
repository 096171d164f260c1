package smpp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// peerUnbindGrace is how long the answers to open calls are awaited before the
// peer's unbind is answered.
const peerUnbindGrace = 2 * time.Second

// farewellTimeout is how long the last PDU to a peer that is out of step may take.
const farewellTimeout = time.Second

// readLoop takes PDUs until the connection fails. Nothing in it waits for a
// handler, a submitter or the writer.
func (s *Session) readLoop(ctx context.Context) error {
	for _, in := range s.early {
		s.accept(ctx, in, frame{header: header{command: in.Command, sequence: in.Sequence}})
	}
	s.early = nil
	for {
		f, err := s.frames.next()
		if r := s.cfg.Tracer.watched(); r != nil {
			r.received(s.cfg.Name, f, err)
		}
		if err != nil {
			return s.readFailed(ctx, f, err)
		}
		s.stats.inbound.Add(1)
		if s.withheld.Load() > 0 {
			s.win.give(int(s.withheld.Swap(0)))
		}
		s.handle(ctx, f)
	}
}

// readFailed returns why reading is over. The peer hears of a length that
// cannot be true; no sequence number goes with it (§4.3.1), since the octets
// where it stands are as doubtful as those of the length.
func (s *Session) readFailed(ctx context.Context, f frame, err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("connection closed by peer: %w", err)
	case errors.Is(err, ErrOutOfStep):
		s.refuse(RefusedLength, f)
		s.farewell(ctx, cmdGenericNack, StatusInvCmdLen, 0)
	case errors.Is(err, ErrStalled):
		s.refuse(RefusedStalled, f)
	}
	return fmt.Errorf("read: %w", err)
}

// farewell sends a last PDU and waits until it is written, at most
// farewellTimeout.
func (s *Session) farewell(ctx context.Context, command, status, sequence uint32) {
	s.mu.Lock()
	s.stopSubmitsLocked()
	s.mu.Unlock()
	s.replyHeader(command, status, sequence)
	ctx, cancel := context.WithTimeout(ctx, farewellTimeout)
	defer cancel()
	s.waitFor(ctx, func() bool { return s.parked && len(s.out) == 0 })
}

func (s *Session) handle(ctx context.Context, f frame) {
	switch f.command {
	case cmdSubmitSMResp, cmdDataSMResp:
		s.heed(f.body)
		s.complete(f, decodeMessageID(f.body))
	case cmdGenericNack:
		s.stats.nacks.Add(1)
		s.complete(f, "")
	case cmdDeliverSM, cmdDataSM:
		in, err := newInbound(f)
		if err != nil {
			s.refuse(RefusedTruncated, f)
			s.reply(func(b []byte) []byte {
				return appendResponse(b, f.command|responseBit, StatusInvCmdLen, f.sequence)
			})
			return
		}
		s.accept(ctx, in, f)
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
			s.refuse(RefusedResponse, f) // a response is never nacked
			return
		}
		s.refuse(RefusedCommand, f)
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

// complete ends the call that a submit_sm_resp, data_sm_resp or generic_nack
// answers. A response to another command than the call's is no answer.
func (s *Session) complete(f frame, id string) {
	s.mu.Lock()
	c := s.calls.get(f.sequence)
	if c != nil && (f.command == c.response || f.command == cmdGenericNack) {
		change := s.crowding.answered(f.status, s.calls.n)
		s.win.resize(change)
		configured := s.crowding.size
		s.calls.remove(c)
		s.notifyLocked()
		s.mu.Unlock()
		if change != 0 {
			s.log.Warn("window changed to what the SMSC seems to grant", "window", s.Window(), "configured", configured)
		}
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
	var dead *Call
	if c == nil {
		dead = s.late.take(f.sequence)
	}
	s.mu.Unlock()
	switch {
	case c != nil:
		s.refuse(RefusedResponse, f)
	case dead != nil && f.command == dead.response:
		s.reportLate(dead, f.status, id)
	case dead != nil:
	case f.command == cmdGenericNack:
		s.answerControl(f)
	default:
		s.refuse(RefusedResponse, f)
	}
}

// reportLate passes on an acceptance that nobody waits for any more.
func (s *Session) reportLate(c *Call, status uint32, id string) {
	s.stats.late.Add(1)
	if status == StatusOK && s.cfg.Late != nil {
		s.cfg.Late(c.burst.Ref, sms.Accepted{Part: c.Part, PartsTotal: c.PartsTotal, RawMessageID: id, At: time.Now()})
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
	ours := f.command == cmdEnquireLinkResp || s.enquiredAt != 0 && f.sequence == s.enquiry
	s.mu.Unlock()
	switch {
	case ok:
		r.answer <- f.status
		return
	case ours:
		return // also a nack is life
	case f.command != cmdGenericNack:
		s.refuse(RefusedResponse, f)
		return
	}
	s.refuse(RefusedNack, f)
	if f.status == StatusInvCmdLen {
		s.fail(ErrNacked)
	}
}

// answerUnbind lets open calls and messages have their end, answers the peer's unbind
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
		s.waitFor(grace, func() bool { return s.calls.n == 0 && s.answeredAll() })
		s.replyHeader(cmdUnbindResp, StatusOK, sequence)
		closing, cancel := context.WithTimeout(ctx, s.cfg.UnbindTimeout)
		defer cancel()
		s.waitFor(closing, func() bool { return false })
		s.fail(ErrPeerUnbind)
	})
}
