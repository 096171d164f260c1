package smpp

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/failpoint"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

const (
	// maxWriteOctets bounds one write, so that the write timeout stands for
	// progress and a failed write leaves few calls in doubt.
	maxWriteOctets = 64 << 10
	// keepOutOctets is the largest out-buffer kept after a burst.
	keepOutOctets = 1 << 20
	// maxOutOctets of answers to a peer that sends and does not read.
	maxOutOctets = 16 << 20
	// lingerAfterWriteError is how long the reader goes on after a failed write.
	lingerAfterWriteError = 250 * time.Millisecond
)

// Acquire takes one window slot, waiting until ctx or the session ends.
func (s *Session) Acquire(ctx context.Context) error {
	select {
	case <-s.noSubmit:
		return unavailable(ErrNotBound)
	default:
	}
	if err := s.win.take(ctx, s.noSubmit); err != nil {
		return unavailable(err)
	}
	return nil
}

// TryAcquire takes n window slots, or none.
func (s *Session) TryAcquire(n int) bool { return s.win.tryTake(n) }

// Release gives back n slots that were not used for Go.
func (s *Session) Release(n int) { s.win.give(n) }

// Free returns how many window slots are free.
func (s *Session) Free() int { return max(0, int(s.win.free.Load())) }

// Window returns the size of the window: Config.Window, or less when the SMSC
// was found to grant less.
func (s *Session) Window() int { return int(s.win.size.Load()) }

// Resize changes the window, 1..MaxWindow, while messages are open: a smaller
// one holds as soon as those above it are answered. Where the SMSC was found
// to grant less, less it stays.
func (s *Session) Resize(window int) {
	window = min(max(window, 1), MaxWindow)
	s.mu.Lock()
	s.calls.fit(window)
	change := s.crowding.resize(window)
	s.win.resize(change)
	s.mu.Unlock()
	if change > 0 && s.cfg.OnFree != nil {
		s.cfg.OnFree()
	}
}

// Go sends messages of one burst and returns without waiting. The caller has
// acquired a slot for each; Go takes them over, also when it fails. Each call
// has its end in b.Done or b.Then exactly once, unless Go fails (nothing was
// sent, the error says unavailable) or the burst is abandoned. msgs may be
// reused when Go returns.
func (s *Session) Go(b *Burst, msgs []*sms.Message) error {
	if b.Then == nil && cap(b.Done) < len(msgs) {
		panic("smpp: done channel has no room for the calls")
	}
	calls := b.add(msgs)
	var refused []*Call
	now := s.clock.now()

	s.mu.Lock()
	if s.state != stateBound {
		s.mu.Unlock()
		s.win.give(len(msgs))
		return unavailable(ErrNotBound)
	}
	if s.calls.n+len(msgs) > s.calls.room() {
		s.mu.Unlock()
		panic("smpp: Go without Acquire")
	}
	for i, m := range msgs {
		c := &calls[i]
		if err := s.queueLocked(c, m, now); err != nil {
			c.Err = &sms.Error{Op: "submit_sm", Code: sms.CodeInvalid, Err: err}
			refused = append(refused, c)
		}
	}
	s.unlockAndWake()
	for _, c := range refused {
		s.deliver(c)
	}
	return nil
}

// queueLocked registers the call and only then encodes it: nothing can answer
// a PDU that is not registered.
func (s *Session) queueLocked(c *Call, m *sms.Message, now time.Duration) error {
	if s.cfg.InterfaceVersion < Version34 {
		var err error
		if m, err = plain(m); err != nil {
			return err
		}
	}
	c.sequence, c.sentAt, c.position = s.nextSequenceLocked(), now, s.queued
	s.calls.add(c)
	before := len(s.out)
	out, err := c.encode(s.out, m)
	if err != nil {
		s.calls.remove(c)
		return err
	}
	s.queued += uint64(len(out) - before)
	s.out = out
	s.stats.submits.Add(1)
	return nil
}

// Abandon ends a caller's interest in a burst. It returns the calls that were
// still unanswered: they will not come out of b, keep their slots until
// they are answered or time out, and an acceptance goes to Config.Late. All
// other calls come, or came, out of b.
func (s *Session) Abandon(b *Burst) []*Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var open []*Call
	for c := b.first; c != nil; c = c.sibling {
		if c.pending && !c.abandoned {
			c.abandoned = true
			open = append(open, c)
		}
	}
	return open
}

// reply queues an answer to the peer. It never waits; a peer that keeps
// asking without reading loses its session.
func (s *Session) reply(appendTo func([]byte) []byte) {
	s.mu.Lock()
	if s.state == stateClosed {
		s.mu.Unlock()
		return
	}
	flooded := len(s.out) > maxOutOctets
	if !flooded {
		s.queueRawLocked(appendTo)
	}
	s.unlockAndWake()
	if flooded {
		s.fail(ErrNotReading)
	}
}

func (s *Session) replyHeader(command, status, sequence uint32) {
	s.reply(func(b []byte) []byte { return appendHeader(b, command, status, sequence) })
}

func (s *Session) queueRawLocked(appendTo func([]byte) []byte) {
	before := len(s.out)
	s.out = appendTo(s.out)
	s.queued += uint64(len(s.out) - before)
}

// unlockAndWake releases mu and sees to it that the writer takes what is in out.
func (s *Session) unlockAndWake() {
	wake := s.parked && len(s.out) > 0
	if wake {
		s.parked = false
	}
	s.mu.Unlock()
	if wake {
		s.wake <- struct{}{} // capacity 1, and only who unparks the writer sends
	}
}

// writeLoop is the only writer. It takes all that has gathered in out and
// writes it at once; while it writes, more gathers.
func (s *Session) writeLoop() {
	for {
		// Let those who are ready to submit do so before the write.
		runtime.Gosched()
		s.mu.Lock()
		if s.state == stateClosed {
			s.mu.Unlock()
			return
		}
		if len(s.out) == 0 {
			s.parked = true
			s.notifyLocked()
			s.mu.Unlock()
			select {
			case <-s.wake:
				continue
			case <-s.closed:
				return
			}
		}
		buf := s.out
		s.out, s.spare = s.spare, nil
		s.mu.Unlock()
		if err := s.write(buf); err != nil {
			s.fail(&writeError{err})
			return
		}
		if cap(buf) <= keepOutOctets {
			s.mu.Lock()
			s.spare = buf[:0]
			s.mu.Unlock()
		}
	}
}

// restLocked gives up the buffers that a burst has left behind.
func (s *Session) restLocked() {
	if len(s.out) == 0 {
		s.out, s.spare = nil, nil
	}
}

// write hands b to the connection in pieces of at most maxWriteOctets. What
// was handed counts as written, whether the write succeeds or not.
func (s *Session) write(b []byte) error {
	if r := s.cfg.Tracer.watched(); r != nil {
		r.sent(s.cfg.Name, b)
	}
	for len(b) > 0 {
		n := failpoint.Cut("mid-write", min(len(b), maxWriteOctets))
		s.mu.Lock()
		if s.state == stateClosed {
			s.mu.Unlock()
			return nil
		}
		s.handed += uint64(n)
		s.mu.Unlock()
		if err := s.conn.SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout)); err != nil {
			return err
		}
		s.stats.writes.Add(1)
		failpoint.Hit("before-write")
		written, err := s.conn.Write(b[:n])
		failpoint.Hit("mid-write")
		failpoint.Hit("after-write")
		s.stats.bytesOut.Add(uint64(written))
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// writeError marks an error of the writing side.
type writeError struct{ err error }

func (e *writeError) Error() string { return fmt.Sprintf("write: %v", e.err) }
func (e *writeError) Unwrap() error { return e.err }
