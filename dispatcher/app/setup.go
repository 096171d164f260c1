package app

import (
	"context"
	"fmt"
	"io"

	"github.com/shortwire-sms/shortwire/dispatcher/internal/jetstream"
)

// Setup creates or updates the streams and consumers that the configuration
// needs, and writes one line for each to w. Running it again changes nothing.
func Setup(ctx context.Context, cfg *Config, w io.Writer) error {
	client, err := dial(ctx, cfg, "shortwire setup")
	if err != nil {
		return err
	}
	defer client.Close()
	changes, err := client.Setup(ctx, jetstream.SetupConfig{
		Routes:            routeNames(cfg),
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
