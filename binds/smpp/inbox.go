package smpp

import (
	"context"
	"runtime"

	"github.com/shortwire-sms/shortwire/dispatcher/failpoint"
)

// accept has the handler take the message, which came in f, or tells the SMSC
// to keep it.
func (s *Session) accept(ctx context.Context, in *Inbound, f frame) {
	in.session = s
	s.mu.Lock()
	full := s.cfg.Handler == nil || len(s.inbox) >= s.cfg.MaxQueued
	begin := false
	if !full {
		s.inbox = append(s.inbox, in)
		begin, s.serving = !s.serving, true
		s.callLocked()
	}
	s.mu.Unlock()
	if full {
		s.refuse(RefusedBusy, f)
		s.respond(in, StatusTemporary)
		return
	}
	if begin {
		s.handlers.Go(func() { s.serveInbox(ctx) })
	}
}

// callLocked tells serveInbox when there are messages that it can take.
func (s *Session) callLocked() {
	if len(s.inbox) == 0 || s.handling >= s.cfg.MaxHandled {
		return
	}
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

// yields is how often others go first. Once lets some sixty of them run.
const yields = 32

// letAnswersGoFirst has those run that are to deal with the answers that are
// here: a receipt that is looked up before its message id is recorded costs a
// detour. Answers to further parts wait until the first is recorded, and
// nobody waits for that.
func (s *Session) letAnswersGoFirst() {
	here := s.ended.Load()
	for range yields {
		if s.taken.Load() >= here {
			return
		}
		runtime.Gosched()
	}
}

// serveInbox gives the handler what has come, until ctx ends.
func (s *Session) serveInbox(ctx context.Context) {
	var burst []*Inbound
	for {
		select {
		case <-s.arrived:
		case <-ctx.Done():
			return
		}
		s.letAnswersGoFirst()
		for burst = s.take(burst[:0]); len(burst) > 0; burst = s.take(burst[:0]) {
			s.cfg.Handler(ctx, burst)
			clear(burst)
		}
	}
}

// take moves messages from the inbox to burst.
func (s *Session) take(burst []*Inbound) []*Inbound {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.inbox), s.cfg.MaxHandled-s.handling)
	burst = append(burst, s.inbox[:n]...)
	clear(s.inbox[:n])
	s.inbox = s.inbox[n:]
	if len(s.inbox) == 0 {
		s.inbox = nil
	}
	s.handling += n
	s.handlers.Add(n)
	return burst
}

// answeredAll is called with mu held.
func (s *Session) answeredAll() bool { return s.handling == 0 && len(s.inbox) == 0 }

// Answer has the response to the message written, with this command_status. It
// is called once, by whoever was given the message, and does not wait.
func (in *Inbound) Answer(status uint32) {
	s := in.session
	if status != StatusOK {
		s.refuse(RefusedByHandler, frame{header: header{command: in.Command, sequence: in.Sequence}})
	}
	s.respond(in, status)
	failpoint.Hit("deliver-answered")
	s.mu.Lock()
	s.handling--
	s.callLocked()
	if s.answeredAll() {
		s.notifyLocked()
	}
	s.mu.Unlock()
	s.handlers.Done()
}

func (s *Session) respond(in *Inbound, status uint32) {
	s.reply(func(b []byte) []byte { return appendResponse(b, in.Command|responseBit, status, in.Sequence) })
}
