package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Pauses before a publish is repeated, jittered by half.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = time.Second
)

// Config says for whom a Publisher publishes. Zero values mean defaults.
type Config struct {
	Producer   string        // [A-Za-z0-9_-]{1,32}; whose results come back. Required
	Subjects   sms.Subjects  // of the deployment. Default: without nats.subject_prefix
	MaxPending int           // jobs given to Go that have no answer yet, 1..100000. Default 1000
	AckTimeout time.Duration // until an unanswered publish is repeated, at least 1ms. Default 5s
}

// Job is a job and where it goes.
type Job struct {
	Route  string      // name of a route. Required
	Lane   sms.Lane    // Default normal
	Header nats.Header // of the producer's own, traceparent among them; may be nil. Names that begin with Nats- or Shortwire- are refused
	sms.Job
}

// Ack is the server's word that it has a job.
type Ack struct {
	JobID     string
	Origin    sms.Origin
	Stream    string // that has it
	Sequence  uint64 // in the stream
	Duplicate bool   // a job of that id was stored within the last five minutes, and this one dropped as its repeat

	began time.Time // no result of this publish can be older
}

// Publisher publishes the jobs of one producer. Its methods may be called
// concurrently.
type Publisher struct {
	cfg     Config
	js      jetstream.JetStream
	pending chan struct{} // one token per job of Go without an answer; written by Go, read by what it starts
	under   sync.WaitGroup
}

// New makes a publisher on a connection, which stays the caller's: connect with
// nats.MaxReconnects(-1), and drain it after Flush. The error is about cfg.
func New(nc *nats.Conn, cfg Config) (*Publisher, error) {
	if cfg.MaxPending == 0 {
		cfg.MaxPending = 1000
	}
	if cfg.AckTimeout == 0 {
		cfg.AckTimeout = 5 * time.Second
	}
	var errs []error
	if !sms.ValidToken(cfg.Producer) {
		errs = append(errs, fmt.Errorf("producer: must be 1..32 of A-Z a-z 0-9 _ -, is %q", cfg.Producer))
	}
	if cfg.MaxPending < 1 || cfg.MaxPending > 100_000 {
		errs = append(errs, fmt.Errorf("max pending: must be 1..100000, is %d", cfg.MaxPending))
	}
	if cfg.AckTimeout < time.Millisecond {
		errs = append(errs, fmt.Errorf("ack timeout: must be at least 1ms, is %v", cfg.AckTimeout))
	}
	errs = append(errs, cfg.Subjects.Validate())
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("use jetstream: %w", err)
	}
	return &Publisher{cfg: cfg, js: js, pending: make(chan struct{}, cfg.MaxPending)}, nil
}

// Send checks a job, publishes it and waits until the server has stored it.
// What stays unanswered is repeated until ctx ends; then the error is
// ErrUnanswered. The others are those of this package, or an *sms.Error with
// sms.CodeInvalid around sms.Faults when the job is wrong: nothing was sent then.
func (p *Publisher) Send(ctx context.Context, job Job) (*Ack, error) {
	if err := Check(job); err != nil {
		return nil, err
	}
	origin := p.origin(job)
	data, err := json.Marshal(&job.Job)
	if err != nil {
		return nil, fmt.Errorf("encode job: %w", err)
	}
	if len(data) > sms.MaxJobOctets {
		return nil, fmt.Errorf("publish job: %w: %d octets, at most %d", ErrTooLarge, len(data), sms.MaxJobOctets)
	}
	msg := &nats.Msg{Subject: p.cfg.Subjects.Jobs(origin), Header: make(nats.Header, len(job.Header)+1), Data: data}
	maps.Copy(msg.Header, job.Header)
	msg.Header[nats.MsgIdHdr] = []string{job.ID}
	return p.store(ctx, msg, &Ack{JobID: job.ID, Origin: origin, began: time.Now()})
}

// store publishes until there is an answer, or ctx ends.
func (p *Publisher) store(ctx context.Context, msg *nats.Msg, ack *Ack) (*Ack, error) {
	for pause, first := firstPause, true; ; pause, first = min(2*pause, longestPause), false {
		got, err := p.attempt(ctx, msg)
		if err == nil {
			ack.Stream, ack.Sequence = got.Stream, got.Sequence
			ack.Duplicate = got.Duplicate && first // else it may be the one whose answer was lost
			return ack, nil
		}
		err, mend := fault(err)
		if mend && p.denied(msg.Subject) {
			err, mend = ErrDenied, false
		}
		if !mend || !rest(ctx, pause) {
			return nil, fmt.Errorf("publish job to %s: %w", msg.Subject, err)
		}
	}
}

func (p *Publisher) attempt(ctx context.Context, msg *nats.Msg) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.AckTimeout)
	defer cancel()
	return p.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
}

// Go is Send that does not wait for the answer: done, which may be nil, has it
// from a goroutine of its own. While MaxPending jobs have no answer Go waits, so
// that a slow server slows the caller down; its error is that of ctx then, and
// done is not called. ctx is for the answer too.
func (p *Publisher) Go(ctx context.Context, job Job, done func(*Ack, error)) error {
	select {
	case p.pending <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p.under.Go(func() {
		defer func() { <-p.pending }()
		ack, err := p.Send(ctx, job)
		if done != nil {
			done(ack, err)
		}
	})
	return nil
}

// Flush waits until every job that was given to Go has its answer and its done
// has returned. Call it before the program ends, and not at the same time as Go.
func (p *Publisher) Flush() { p.under.Wait() }

func (p *Publisher) origin(job Job) sms.Origin {
	lane := job.Lane
	if lane == "" {
		lane = sms.LaneNormal
	}
	return sms.Origin{Route: job.Route, Lane: lane, Producer: p.cfg.Producer}
}

// rest pauses for a jittered d, less when ctx ends, and reports whether it has not.
func rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d/2 + rand.N(d)):
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
