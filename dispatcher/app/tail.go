package app

import (
	"context"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/internal/jetstream"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Filter chooses results. Empty fields match any.
type Filter struct {
	Producer string
	Route    string
	Kind     sms.Kind
	JobID    string
	Since    time.Time // stored at or after it; zero means from now on
}

// Tail calls fn for each result that matches, in the order they were stored,
// until fn returns false or ctx ends.
func Tail(ctx context.Context, cfg *Config, f Filter, fn func(*sms.Result) bool) error {
	client, err := dial(ctx, cfg, "shortwire tail")
	if err != nil {
		return err
	}
	defer client.Close()
	return natsFault(ctx, client.Tail(ctx, jetstream.Filter(f), fn))
}

// TailInbound calls fn for each mobile-originated message of a route, or of any
// when route is empty, from since on; the ends are those of Tail.
func TailInbound(ctx context.Context, cfg *Config, route string, since time.Time, fn func(*sms.Inbound) bool) error {
	client, err := dial(ctx, cfg, "shortwire tail")
	if err != nil {
		return err
	}
	defer client.Close()
	return natsFault(ctx, client.TailInbound(ctx, route, since, fn))
}

// TailDead calls fn for each dead letter that matches, in the order they were
// buried, until fn returns false or ctx ends. Kind is not looked at.
func TailDead(ctx context.Context, cfg *Config, f Filter, fn func(*DeadLetter) bool) error {
	client, err := dial(ctx, cfg, "shortwire tail")
	if err != nil {
		return err
	}
	defer client.Close()
	err = client.TailDead(ctx, f.Route, f.Since, func(dead *jetstream.Dead) bool {
		d := deadLetter(client.Subjects(), dead)
		if f.JobID != "" && d.JobID != f.JobID || f.Producer != "" && d.Producer != f.Producer {
			return true
		}
		return fn(d)
	})
	return natsFault(ctx, err)
}
