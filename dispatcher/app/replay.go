package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/internal/jetstream"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// DeadLetter is a job that could not be handled, for people and as JSON.
type DeadLetter struct {
	Seq        uint64          `json:"seq"` // its place in SMS_DEAD
	Time       time.Time       `json:"time"`
	Route      string          `json:"route"`
	Lane       sms.Lane        `json:"lane,omitempty"`
	Producer   string          `json:"producer,omitempty"`
	JobID      string          `json:"job_id,omitempty"` // absent when the job does not name itself
	Kind       sms.Kind        `json:"kind,omitempty"`   // of its outcome
	Code       sms.Code        `json:"code"`
	Reason     string          `json:"reason"`
	Attempts   int             `json:"attempts"`
	Replay     int             `json:"replay,omitempty"` // how often it had been replayed
	Status     uint32          `json:"status,omitempty"` // command_status of the SMSC's last answer
	StatusName string          `json:"status_name,omitempty"`
	Via        string          `json:"via,omitempty"`       // the route that carried it, if not its own
	Parts      []sms.Part      `json:"parts,omitempty"`     // that the SMSC accepted
	Truncated  int             `json:"truncated,omitempty"` // its size in octets where the rest is lost
	Job        json.RawMessage `json:"job,omitempty"`       // as it was published, if that is JSON
	Data       []byte          `json:"data,omitempty"`      // as it was published, if that is not
	Skip       string          `json:"skip,omitempty"`      // why a replay leaves it alone
}

func deadLetter(subjects sms.Subjects, dead *jetstream.Dead) *DeadLetter {
	d := &DeadLetter{
		Seq: dead.Seq, Time: dead.Time, Route: dead.Route, JobID: dead.JobID, Kind: dead.Kind, Code: dead.Code,
		Reason: dead.Reason, Attempts: dead.Attempts, Replay: dead.Replay, Status: dead.Status, StatusName: dead.StatusName,
		Via: dead.Via, Parts: dead.Parts, Truncated: dead.Truncated,
	}
	origin, err := subjects.ParseOrigin(dead.Subject)
	if err == nil {
		d.Lane, d.Producer = origin.Lane, origin.Producer
	}
	if json.Valid(dead.Data) {
		d.Job = dead.Data
	} else {
		d.Data = dead.Data
	}
	switch job, invalid := sms.DecodeJob(dead.Data); {
	case err != nil || origin.Route != dead.Route:
		d.Skip = "its subject names no producer"
	case dead.Truncated > 0:
		d.Skip = "a part of it is lost"
	case invalid != nil:
		d.Skip = "the job itself is wrong"
	case dead.Kind == sms.KindUncertain:
		d.Skip = "uncertain: the SMSC may have it"
	case !job.ExpiresAt.IsZero() && !time.Now().Before(job.ExpiresAt):
		d.Skip = "its expires_at has passed"
	}
	return d
}

// DeadFilter chooses dead letters of one route. Other fields that are empty
// match any.
type DeadFilter struct {
	Route string
	Since time.Time // buried at or after it, by the server's clock
	Code  sms.Code
	JobID string
	Limit int // of those that are not skipped; 0 means all
}

func (f *DeadFilter) matches(d *jetstream.Dead) bool {
	return !d.Stored.Before(f.Since) && (f.Code == "" || d.Code == f.Code) && (f.JobID == "" || d.JobID == f.JobID)
}

// Replayer finds dead letters and replays them.
type Replayer struct {
	client *jetstream.Client
	filter DeadFilter
}

// NewReplayer connects to NATS. Close ends it.
func NewReplayer(ctx context.Context, cfg *Config, f DeadFilter) (*Replayer, error) {
	if _, ok := cfg.Route(f.Route); !ok {
		return nil, &sms.Error{Op: "replay", Code: sms.CodeInvalid, Err: sms.Faults{unknownRoute(cfg, f.Route)}}
	}
	client, err := dial(ctx, cfg, "shortwire replay")
	if err != nil {
		return nil, err
	}
	return &Replayer{client: client, filter: f}, nil
}

// Close disconnects.
func (r *Replayer) Close() { r.client.Close() }

// List calls fn for each dead letter that is there now and matches, also those
// that Replay leaves alone: they have Skip. Nothing is changed.
func (r *Replayer) List(ctx context.Context, fn func(*DeadLetter) error) error {
	return r.each(ctx, func(_ *jetstream.Dead, d *DeadLetter) error { return fn(d) })
}

// Replay publishes each job that List would show without Skip as a new attempt,
// removes its dead letter once JetStream has the job, and then calls fn. What
// was not reached stays a dead letter; to call it again, or twice at a time,
// sends nothing twice.
func (r *Replayer) Replay(ctx context.Context, fn func(*DeadLetter) error) error {
	return r.each(ctx, func(dead *jetstream.Dead, d *DeadLetter) error {
		if d.Skip == "" {
			if err := r.client.Replay(ctx, dead); err != nil {
				return natsFault(ctx, fmt.Errorf("replay dead letter %d: %w", d.Seq, err))
			}
		}
		return fn(d)
	})
}

func (r *Replayer) each(ctx context.Context, fn func(*jetstream.Dead, *DeadLetter) error) error {
	var failed error
	n := 0
	err := r.client.DeadLetters(ctx, r.filter.Route, func(dead *jetstream.Dead) bool {
		if !r.filter.matches(dead) {
			return true
		}
		d := deadLetter(r.client.Subjects(), dead)
		if failed = fn(dead, d); failed != nil {
			return false
		}
		if d.Skip == "" {
			n++
		}
		return n == 0 || n != r.filter.Limit
	})
	if err != nil {
		err = natsFault(ctx, err)
	}
	return errors.Join(failed, err)
}
