package smpp

import (
	"context"
	"fmt"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// housekeep owns every timer of the session: response timeouts and both
// halves of enquire_link. It sleeps until the earliest moment at which any of
// them can fall due; all of them only ever move later.
func (s *Session) housekeep() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.closed:
			return
		case <-timer.C:
		}
		now := s.clock.now()
		next := min(s.expireCalls(now), s.checkLink(now))
		timer.Reset(next - now)
	}
}

// expireCalls ends the calls whose response timeout has passed and returns
// when to look again. The timeout is the same for all, so the oldest is first.
//
// Of calls that ended in a silence, from before they were sent, the slots are
// withheld until the peer is heard again: what was written may lie in TCP's
// buffers, and a window more at every timeout would reach the SMSC all at once.
func (s *Session) expireCalls(now time.Duration) (next time.Duration) {
	var expired []*Call
	heard := time.Duration(s.clock.lastRead.Load())
	s.mu.Lock()
	for c := s.calls.oldest; c != nil && c.sentAt+s.cfg.ResponseTimeout <= now; c = s.calls.oldest {
		s.calls.remove(c)
		s.late.add(c)
		expired = append(expired, c)
	}
	next = now + s.cfg.ResponseTimeout
	if c := s.calls.oldest; c != nil {
		next = c.sentAt + s.cfg.ResponseTimeout
	}
	if len(expired) > 0 {
		s.notifyLocked()
	}
	s.mu.Unlock()
	for _, c := range expired {
		s.stats.timeouts.Add(1)
		c.Err = &sms.Error{Op: "submit_sm", Code: sms.CodeUncertain, Err: fmt.Errorf("no response within %s", s.cfg.ResponseTimeout)}
		if s.cfg.EnquireLink < 0 || heard >= c.sentAt {
			s.deliver(c)
			continue
		}
		s.withheld.Add(1)
		s.hand(c)
	}
	return next
}

// checkLink sends enquire_link into a silence, or when slots are withheld, and ends the session when the
// silence goes on. Any octet from the peer is life. It returns when to look again.
func (s *Session) checkLink(now time.Duration) (next time.Duration) {
	if s.cfg.EnquireLink < 0 {
		return now + time.Hour
	}
	last := time.Duration(s.clock.lastRead.Load())
	s.mu.Lock()
	if s.enquiredAt != 0 && last >= s.enquiredAt {
		s.enquiredAt = 0
	}
	dead := false
	switch asked := s.enquiredAt; {
	case asked != 0 && now >= asked+s.cfg.EnquireTimeout:
		dead, next = true, now+time.Hour
	case asked != 0:
		next = s.answerDue(now, asked)
	case now >= last+s.quiet(), s.withheld.Load() > 0:
		s.restLocked()
		sequence := s.nextSequenceLocked()
		s.queueRawLocked(func(b []byte) []byte { return appendHeader(b, cmdEnquireLink, 0, sequence) })
		s.enquiredAt, s.enquiry = now, sequence
		next = s.answerDue(now, now)
	default:
		next = last + s.quiet()
	}
	s.unlockAndWake()
	if dead {
		s.fail(ErrLinkDead)
	}
	return next
}

// quiet is the silence into which enquire_link is sent: EnquireLink less a
// sixth, because many SMSCs close a link that is silent for just as long as
// they ask for enquire_link.
func (s *Session) quiet() time.Duration { return s.cfg.EnquireLink - s.cfg.EnquireLink/6 }

// answerDue returns when to look for the answer to an enquire_link: when it is
// overdue, or earlier, when the silence that follows the answer may have
// lasted long enough for the next one.
func (s *Session) answerDue(now, asked time.Duration) time.Duration {
	if again := asked + s.quiet(); again > now {
		return min(again, asked+s.cfg.EnquireTimeout)
	}
	return asked + s.cfg.EnquireTimeout
}

// Ping sends enquire_link and returns how long its answer took.
func (s *Session) Ping(ctx context.Context) (time.Duration, error) {
	start := s.clock.now()
	if _, err := s.request(ctx, cmdEnquireLink); err != nil {
		return 0, fmt.Errorf("enquire_link: %w", err)
	}
	return s.clock.now() - start, nil
}

// hangUpTimeout is how long a peer that has answered our unbind may take to close.
const hangUpTimeout = 500 * time.Millisecond

// Unbind ends the session in good order: no new submits, then the open calls
// and messages get their end until ctx ends, then unbind, whose response is
// awaited for Config.UnbindTimeout while all else goes on. It may be called
// before a message is answered that waits for it. Run returns soon after. The error is nil, or ErrUnbindTimeout.
func (s *Session) Unbind(ctx context.Context) error {
	s.mu.Lock()
	s.stopSubmitsLocked()
	s.mu.Unlock()
	s.waitFor(ctx, func() bool { return s.calls.n == 0 })
	// Messages get less: one of them may wait for Unbind.
	messages, cancel := context.WithTimeout(ctx, s.cfg.UnbindTimeout)
	defer cancel()
	s.waitFor(messages, s.answeredAll)

	s.mu.Lock()
	if s.state == stateClosed {
		s.mu.Unlock()
		return nil
	}
	s.unbinding = true
	s.mu.Unlock()
	answer, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.UnbindTimeout)
	defer cancel()
	_, err := s.request(answer, cmdUnbind)
	if err != nil && answer.Err() != nil {
		s.fail(ErrUnbindTimeout)
		return ErrUnbindTimeout
	}
	if err == nil {
		s.hangUp()
	}
	s.fail(nil)
	return nil
}

// hangUp says that nothing more will come and waits, bounded, for the peer to
// close: a connection that is closed before its last octets were read is reset,
// and the peer takes it for a fault.
func (s *Session) hangUp() {
	half, ok := s.conn.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), hangUpTimeout)
	defer cancel()
	s.waitFor(ctx, func() bool { return false })
}

// request sends a PDU without a body and waits for its answer.
func (s *Session) request(ctx context.Context, command uint32) (status uint32, err error) {
	answer := make(chan uint32, 1)
	s.mu.Lock()
	if s.state == stateClosed {
		s.mu.Unlock()
		return 0, ErrNotBound
	}
	sequence := s.nextSequenceLocked()
	s.control[sequence] = control{response: command | responseBit, answer: answer}
	s.queueRawLocked(func(b []byte) []byte { return appendHeader(b, command, 0, sequence) })
	s.unlockAndWake()
	defer func() {
		s.mu.Lock()
		delete(s.control, sequence)
		s.mu.Unlock()
	}()
	select {
	case status = <-answer:
		return status, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-s.closed:
		return 0, ErrNotBound
	}
}
