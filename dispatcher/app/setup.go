package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/shortwire-sms/shortwire/dispatcher/internal/jetstream"
	"github.com/shortwire-sms/shortwire/ratelimit"
	"github.com/shortwire-sms/shortwire/receipts"
)

// beginLedger marks in Redis since when it has been whole. Setup does so before
// any job can be published: a job that is older than the mark is one that Redis
// has forgotten. It does the same for max_binds: a worker that finds no mark waits
// for one lease before it binds.
func beginLedger(ctx context.Context, cfg *Config) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	client, err := dialRedis(fixed(cfg))
	if err != nil {
		return err
	}
	defer client.Close()
	var fault *DependencyError
	if err := probeRedis(ctx, client, cfg.Redis.URL); errors.As(err, &fault) {
		return fmt.Errorf("%w (%s)", fault.Err, fault.Hint)
	}
	for i := range cfg.Routes {
		if s := cfg.Routes[i].newSlots(client, "setup"); s != nil {
			if _, err := s.Slots.Renew(ctx, ratelimit.SlotUse{}); err != nil {
				return cause(err)
			}
		}
	}
	return cause(receipts.Begin(ctx, client, ""))
}

// Setup creates or updates the streams and consumers that the configuration
// needs, and writes one line for each to w. Running it again changes nothing.
func Setup(ctx context.Context, cfg *Config, w io.Writer) error {
	client, err := dial(ctx, cfg, "shortwire setup")
	if err != nil {
		return err
	}
	defer client.Close()
	if err := beginLedger(ctx, cfg); err != nil {
		if _, err := fmt.Fprintf(w, "notice: redis: %v; run setup again once it can be used\n", err); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	changes, err := client.Setup(ctx, jetstream.SetupConfig{
		Routes:            routeNames(cfg),
		ResultsFor:        cfg.NATS.ResultsFor,
		Replicas:          cfg.NATS.Replicas,
		JobsMaxPerSubject: cfg.NATS.JobsMax,
		JobsMaxBytes:      cfg.NATS.JobsMaxBytes,
		Consumers:         consumerConfig(),
	})
	for _, c := range changes {
		if _, err := fmt.Fprintln(w, c); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return natsFault(ctx, err)
}
