package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Headers of a dead letter.
const (
	headerReason     = "Shortwire-Reason"
	headerCode       = "Shortwire-Code"
	headerKind       = "Shortwire-Kind" // of the outcome
	headerAttempts   = "Shortwire-Attempts"
	headerJobID      = "Shortwire-Job-Id"
	headerSubject    = "Shortwire-Subject" // where the job was published
	headerStatus     = "Shortwire-Status"  // last command_status, 0x%08X
	headerStatusName = "Shortwire-Status-Name"
	headerTime       = "Shortwire-Time"      // RFC 3339
	headerTruncated  = "Shortwire-Truncated" // original size in octets: the job left no room for these headers
)

// Headers of a dead letter that go along when it is replayed, beside
// headerDoubt, and with retries.
const (
	headerReplay = "Shortwire-Replay" // how often it was replayed; absent for never
	headerParts  = "Shortwire-Parts"  // JSON array of the parts that the SMSC has
	headerVia    = "Shortwire-Via"    // the route that carried the job; absent when that was its own
)

// maxReason bounds Shortwire-Reason, in octets.
const maxReason = 1024

// Bury implements dispatcher.Morgue. A job that leaves no room for the
// headers under the server's max_payload is cut and marked as such.
func (c *Client) Bury(ctx context.Context, d dispatcher.DeadLetter) error {
	h, err := c.deadHeaders(d)
	if err != nil {
		return fmt.Errorf("bury job: %w", err)
	}
	msg := &nats.Msg{Subject: c.subjects.Dead(d.Of.Origin().Route), Header: h, Data: d.Of.Data()}
	err = c.pub.durable(ctx, msg)
	if errors.Is(err, ErrTooLarge) {
		h[headerTruncated] = []string{strconv.Itoa(len(msg.Data))}
		const room = 128 // for the framing of the headers
		msg.Data = msg.Data[:max(0, min(len(msg.Data), int(c.out.MaxPayload())-headerOctets(h)-room))]
		err = c.pub.durable(ctx, msg)
	}
	if err != nil {
		return fmt.Errorf("bury job: %w", err)
	}
	return nil
}

// deadHeaders says of a dead letter why, when, after how many attempts and
// with what answer of the SMSC it died.
func (c *Client) deadHeaders(d dispatcher.DeadLetter) (nats.Header, error) {
	h := userHeaders(d.Of)
	set := func(key, value string) {
		if value != "" {
			h[key] = []string{value}
		}
	}
	set(headerMsgID, deadID(d.Of))
	set(headerReason, truncate(d.Outcome.Reason, maxReason))
	set(headerCode, string(d.Outcome.Code))
	set(headerKind, string(d.Outcome.Kind))
	set(headerAttempts, strconv.Itoa(max(d.Ref.Attempt, d.Of.Attempt())))
	set(headerSubject, c.jobSubject(d.Of))
	set(headerTime, time.Now().UTC().Format(time.RFC3339Nano))
	set(headerJobID, d.Ref.JobID)
	set(headerStatusName, d.Outcome.StatusName)
	if d.Outcome.Status != 0 {
		set(headerStatus, fmt.Sprintf("0x%08X", d.Outcome.Status))
	}
	if d.Ref.Doubt {
		set(headerDoubt, "true")
	}
	if d.Ref.Replay > 0 {
		set(headerReplay, strconv.Itoa(d.Ref.Replay))
	}
	return h, setParts(h, d.Outcome.Parts, d.Outcome.Via)
}

// jobSubject is where the job was first published.
func (c *Client) jobSubject(of dispatcher.Delivery) string {
	if d, ours := of.(*delivery); ours && d.from.queue == newJobs {
		return d.msg.Subject
	}
	return c.subjects.Jobs(of.Origin())
}

// deadID is the same for every delivery of one stored message, so that a job
// that was buried and not acked is not buried twice. The time tells messages
// of a stream from those of its successor with the same name.
func deadID(of dispatcher.Delivery) string {
	if d, ours := of.(*delivery); ours {
		if m, err := d.msg.Metadata(); err == nil {
			return fmt.Sprintf("%s.%d.%d", m.Stream, m.Sequence.Stream, m.Timestamp.UnixNano())
		}
	}
	return nuid.Next()
}

// truncate cuts s to at most n octets, between runes.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// headerOctets is the size of the headers on the wire, less a constant.
func headerOctets(h nats.Header) int {
	n := 0
	for k, vs := range h {
		for _, v := range vs {
			n += len(k) + len(v) + len(": \r\n")
		}
	}
	return n
}

// Dead is a job that could not be handled, as it was buried.
type Dead struct {
	Seq        uint64 // in SMS_DEAD
	Route      string
	Subject    string // where the job was published
	JobID      string // empty when the job does not name itself
	Code       sms.Code
	Kind       sms.Kind // of its outcome
	Reason     string
	Attempts   int
	Replay     int    // how often it had been replayed
	Status     uint32 // last command_status, 0 when none
	StatusName string
	Doubt      bool       // the SMSC may have parts that it never answered
	Parts      []sms.Part // that the SMSC accepted
	Via        string     // the route that carried it, if not Route
	Time       time.Time
	Truncated  int         // original size in octets when Data is cut, else 0
	Header     nats.Header // all of it, the producer's own included
	Data       []byte      // the original bytes
	Stored     time.Time   // by the server's clock
}

// TailDead calls fn for each dead letter of a route, or of any when route is
// empty. Since and the ends are those of Tail.
func (c *Client) TailDead(ctx context.Context, route string, since time.Time, fn func(*Dead) bool) error {
	return c.tail(ctx, c.subjects.StreamDead(), c.subjects.DeadFilter(route), since, func(msg natsjs.Msg) bool {
		d := c.readDead(msg.Subject(), msg.Headers(), msg.Data())
		if m, err := msg.Metadata(); err == nil {
			d.Seq, d.Stored = m.Sequence.Stream, m.Timestamp
		}
		return fn(d)
	})
}

// DeadLetters calls fn for each dead letter of the route that is stored now,
// the oldest first, until fn returns false. What is buried meanwhile is left
// out, so that what is replayed and dies again at once is not met again.
func (c *Client) DeadLetters(ctx context.Context, route string, fn func(*Dead) bool) error {
	s, err := c.deadStream(ctx)
	if err != nil {
		return err
	}
	state := s.CachedInfo().State
	subject := c.subjects.Dead(route)
	for seq := max(state.FirstSeq, 1); seq <= state.LastSeq; {
		m, err := s.GetMsg(ctx, seq, natsjs.WithGetMsgSubject(subject))
		switch {
		case errors.Is(err, natsjs.ErrMsgNotFound):
			return nil
		case err != nil:
			return fmt.Errorf("read dead letter from %d: %w", seq, err)
		case m.Sequence > state.LastSeq:
			return nil
		}
		d := c.readDead(m.Subject, m.Header, m.Data)
		d.Seq, d.Stored = m.Sequence, m.Time
		if !fn(d) {
			return nil
		}
		seq = m.Sequence + 1
	}
	return nil
}

func (c *Client) deadStream(ctx context.Context) (natsjs.Stream, error) {
	name := c.subjects.StreamDead()
	s, err := c.js.Stream(ctx, name)
	switch {
	case errors.Is(err, natsjs.ErrStreamNotFound):
		return nil, fmt.Errorf("look up stream %s: %w", name, ErrMissing)
	case err != nil:
		return nil, fmt.Errorf("look up stream %s: %w", name, err)
	}
	return s, nil
}

// Replay publishes a dead letter to where it first came from, as a new attempt
// at its job, and removes it once the job stream has it. Replayed twice within
// the dedup window it is stored once; later the ledger knows the repeat by its
// number. Errors are those of enqueue.
func (c *Client) Replay(ctx context.Context, d *Dead) error {
	h := producerHeaders(d.Header)
	h[headerMsgID] = []string{fmt.Sprintf("replay.%d.%d", d.Seq, d.Stored.UnixNano())}
	h[headerReplay] = []string{strconv.Itoa(d.Replay + 1)}
	if parts := d.Header.Get(headerParts); parts != "" {
		h[headerParts] = []string{parts}
	}
	if d.Via != "" {
		h[headerVia] = []string{d.Via}
	}
	if d.Doubt {
		h[headerDoubt] = []string{"true"}
	}
	if _, err := c.enqueue(ctx, &nats.Msg{Subject: d.Subject, Header: h, Data: d.Data}); err != nil {
		return err
	}
	return c.removeDead(ctx, d.Seq)
}

func (c *Client) removeDead(ctx context.Context, seq uint64) error {
	s, err := c.deadStream(ctx)
	if err != nil {
		return err
	}
	if err = s.DeleteMsg(ctx, seq); err == nil {
		return nil
	}
	if _, missing := s.GetMsg(ctx, seq); errors.Is(missing, natsjs.ErrMsgNotFound) { // another replay was faster
		return nil
	}
	return fmt.Errorf("remove dead letter %d, which was replayed: %w", seq, err)
}

// readDead reads what Bury wrote.
func (c *Client) readDead(subject string, h nats.Header, data []byte) *Dead {
	d := &Dead{
		Route:   strings.TrimPrefix(subject, c.subjects.Dead("")),
		Subject: h.Get(headerSubject), JobID: h.Get(headerJobID),
		Code: sms.Code(h.Get(headerCode)), Kind: sms.Kind(h.Get(headerKind)), Reason: h.Get(headerReason),
		StatusName: h.Get(headerStatusName), Doubt: h.Get(headerDoubt) == "true",
		Header: h, Data: data,
	}
	d.Attempts, _ = strconv.Atoi(h.Get(headerAttempts))
	d.Truncated, _ = strconv.Atoi(h.Get(headerTruncated))
	if status, err := strconv.ParseUint(h.Get(headerStatus), 0, 32); err == nil {
		d.Status = uint32(status)
	}
	d.Time, _ = time.Parse(time.RFC3339Nano, h.Get(headerTime))
	before := readBefore(h)
	d.Replay, d.Parts, d.Via = before.Replay, before.Parts, before.Via
	return d
}

// readBefore reads what goes along with a retry or a replay; what cannot be
// read is not there. A producer that sends these headers itself reopens failed
// jobs of its own, and of no other.
func readBefore(h nats.Header) dispatcher.Before {
	b := dispatcher.Before{Via: h.Get(headerVia)}
	if n, err := strconv.Atoi(h.Get(headerReplay)); err == nil && n > 0 {
		b.Replay = n
	}
	if parts := h.Get(headerParts); parts != "" {
		if json.Unmarshal([]byte(parts), &b.Parts) != nil || !rising(b.Parts) {
			b.Parts = nil
		}
	}
	return b
}

// setParts writes what readBefore reads; nothing leaves h as it is.
func setParts(h nats.Header, parts []sms.Part, via string) error {
	if via != "" {
		h[headerVia] = []string{via}
	}
	if len(parts) == 0 {
		return nil
	}
	if via == "" {
		delete(h, headerVia)
	}
	b, err := json.Marshal(parts)
	if err != nil {
		return err
	}
	h[headerParts] = []string{string(b)}
	return nil
}

// rising reports whether the parts are numbered as Bury writes them.
func rising(parts []sms.Part) bool {
	last := 0
	for _, p := range parts {
		if p.Number <= last {
			return false
		}
		last = p.Number
	}
	return last <= 255
}
