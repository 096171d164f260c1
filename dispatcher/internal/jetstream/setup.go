package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher/internal/jscode"
)

// minServer is the first nats-server with message schedules.
var minServer = [2]int{2, 12}

// Setup creates or updates the streams and consumers. It is idempotent and
// changes nothing when a stream of the same name is someone else's. The
// changes made before an error are returned with it.
func (c *Client) Setup(ctx context.Context, cfg SetupConfig) ([]Change, error) {
	cfg = cfg.withDefaults()
	if err := c.checkRoutes(cfg.Routes); err != nil {
		return nil, err
	}
	if err := c.checkServer(ctx); err != nil {
		return nil, err
	}
	plans, err := c.plan(ctx, cfg)
	if err != nil {
		return nil, err
	}
	var changes []Change
	for _, p := range plans {
		if err := c.apply(ctx, p); err != nil {
			return changes, err
		}
		changes = append(changes, p.change)
	}
	consumers := c.consumersOf(cfg.Routes, cfg.Consumers)
	for _, producer := range cfg.ResultsFor {
		consumers = append(consumers, c.resultsConsumer(producer, cfg.Consumers))
	}
	for _, want := range consumers {
		change, err := c.setUpConsumer(ctx, want)
		if err != nil {
			return changes, err
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// checkRoutes refuses routes whose streams or subjects would be one.
func (c *Client) checkRoutes(routes []string) error {
	byStream := make(map[string]string)
	var errs []error
	for _, r := range routes {
		name := c.subjects.StreamJobs(r)
		if other, taken := byStream[name]; taken {
			errs = append(errs, fmt.Errorf("routes %s and %s would share stream %s: rename one", other, r, name))
		}
		byStream[name] = r
	}
	return errors.Join(errs...)
}

// checkServer makes sure that JetStream is on, and new enough.
func (c *Client) checkServer(ctx context.Context) error {
	_, err := c.js.AccountInfo(ctx)
	switch {
	case errors.Is(err, natsjs.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("JetStream is not enabled for this account on %s: give the account JetStream limits: %w", c.server(), err)
	case errors.Is(err, natsjs.ErrJetStreamNotEnabled), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("JetStream is not enabled on %s: start nats-server with -js, or put jetstream {store_dir: …} into its configuration: %w", c.server(), err)
	case err != nil:
		return fmt.Errorf("ask %s for its JetStream limits: %w", c.server(), err)
	}
	var v [2]int
	version := c.in.ConnectedServerVersion()
	if _, err := fmt.Sscanf(version, "%d.%d", &v[0], &v[1]); err == nil && slices.Compare(v[:], minServer[:]) < 0 {
		return fmt.Errorf("nats-server %s on %s is too old: upgrade it to %d.%d or later, which has message schedules", version, c.server(), minServer[0], minServer[1])
	}
	return nil
}

func (c *Client) server() string { return c.in.ConnectedUrlRedacted() }

// plan is what will become of one stream.
type plan struct {
	config natsjs.StreamConfig
	change Change
}

// plan compares every stream with what it should be, before any is touched.
func (c *Client) plan(ctx context.Context, cfg SetupConfig) ([]plan, error) {
	var plans []plan
	var conflicts []error
	for _, want := range c.streams(cfg) {
		p := plan{config: want, change: Change{Kind: "stream", Name: want.Name, Action: Created}}
		s, err := c.js.Stream(ctx, want.Name)
		switch {
		case errors.Is(err, natsjs.ErrStreamNotFound):
			if want.Name == c.subjects.StreamAdvisory() {
				if p.change.Note, err = c.advisoriesTaken(ctx); err != nil {
					return nil, err
				}
			}
			if p.change.Note != "" {
				p.change.Action = Unchanged
			}
		case err != nil:
			return nil, fmt.Errorf("look up stream %s: %w", want.Name, err)
		default:
			have := s.CachedInfo().Config
			if err := c.conflict(have, want); err != nil {
				conflicts = append(conflicts, err)
				continue
			}
			p.config = overlayStream(have, want)
			p.change = compare("stream", want.Name, streamSettings(have), streamSettings(p.config))
		}
		plans = append(plans, p)
	}
	return plans, errors.Join(conflicts...)
}

// advisoriesTaken says which other stream keeps the advisories already: that
// serves as well, and two streams cannot have the same subjects.
func (c *Client) advisoriesTaken(ctx context.Context) (string, error) {
	for _, subject := range []string{advisoryMaxDeliveries, advisoryTerminated} {
		name, err := c.js.StreamNameBySubject(ctx, subject)
		switch {
		case errors.Is(err, natsjs.ErrStreamNotFound):
		case err != nil:
			return "", fmt.Errorf("look up the stream of %s: %w", subject, err)
		default:
			return "not needed, stream " + name + " keeps these advisories", nil
		}
	}
	return "", nil
}

// conflict reports a stream that has our name and cannot become ours.
func (c *Client) conflict(have, want natsjs.StreamConfig) error {
	fault := ""
	switch {
	case have.Mirror != nil:
		fault = "it is a mirror of " + have.Mirror.Name
	case have.Sealed:
		fault = "it is sealed"
	case have.Retention != want.Retention:
		fault = fmt.Sprintf("its retention is %v, which cannot be changed to %v", have.Retention, want.Retention)
	case have.Storage != want.Storage:
		fault = fmt.Sprintf("its storage is %v, which cannot be changed to %v", have.Storage, want.Storage)
	default:
		root, _, _ := strings.Cut(want.Subjects[0], ".")
		for _, s := range have.Subjects {
			if first, _, _ := strings.Cut(s, "."); first != root {
				fault = fmt.Sprintf("it stores %s", s)
				break
			}
		}
	}
	if fault == "" {
		return nil
	}
	return fmt.Errorf("%w: stream %s: %s; remove it (nats stream rm %s) if nobody needs it, or set another nats.subject_prefix", ErrConflict, want.Name, fault, want.Name)
}

// apply creates or updates one stream.
func (c *Client) apply(ctx context.Context, p plan) error {
	var err error
	switch p.change.Action {
	case Created:
		_, err = c.js.CreateStream(ctx, p.config)
	case Updated:
		_, err = c.js.UpdateStream(ctx, p.config)
	}
	if err == nil {
		return nil
	}
	hint := ""
	var api *natsjs.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode {
		case jscode.SubjectOverlap:
			hint = c.overlapHint(ctx, p.config.Subjects)
		case jscode.StorageExceeded, jscode.InsufficientResources:
			hint = fmt.Sprintf(" (it reserves %d bytes: lower the job streams' size, or raise max_file_store on the server)", p.config.MaxBytes)
		}
	}
	return fmt.Errorf("%s stream %s: %w%s", verbs[p.change.Action], p.config.Name, err, hint)
}

func (c *Client) overlapHint(ctx context.Context, subjects []string) string {
	for _, s := range subjects {
		if name, err := c.js.StreamNameBySubject(ctx, s); err == nil {
			return fmt.Sprintf(" (stream %s has %s: remove it, or set another nats.subject_prefix)", name, s)
		}
	}
	return " (set another nats.subject_prefix)"
}

// setUpConsumer creates or updates one consumer.
func (c *Client) setUpConsumer(ctx context.Context, want consumer) (Change, error) {
	name := want.stream + "/" + want.config.Durable
	change := Change{Kind: "consumer", Name: name, Action: Created}
	config := want.config
	have, err := c.js.Consumer(ctx, want.stream, want.config.Durable)
	switch {
	case errors.Is(err, natsjs.ErrConsumerNotFound):
	case err != nil:
		return change, fmt.Errorf("look up consumer %s: %w", name, err)
	default:
		before := have.CachedInfo().Config
		config = overlayConsumer(before, want.config)
		change = compare("consumer", name, consumerSettings(before), consumerSettings(config))
		if change.Action == Unchanged {
			return change, nil
		}
	}
	for tries := 1; ; tries++ {
		if _, err = c.js.CreateOrUpdateConsumer(ctx, want.stream, config); tries == consumerTries || !storeFault(err) {
			break
		}
	}
	if err != nil {
		return change, fmt.Errorf("%s consumer %s: %w (if it was made by hand: nats consumer rm %s %s, and run setup again)",
			verbs[change.Action], name, err, want.stream, want.config.Durable)
	}
	return change, nil
}

// consumerTries is how often a consumer is created before the server's error
// counts.
const consumerTries = 5

// storeFault reports whether the server could not write a consumer's file.
// nats-server (2.15) still removes the folder of a consumer that was deleted a
// moment ago when the next one of that name writes to it; that one is gone too
// then, and can be created.
func storeFault(err error) bool {
	var api *natsjs.APIError
	return errors.As(err, &api) && api.ErrorCode == natsjs.JSErrCodeConsumerCreate && api.Code >= 500
}

// Verify reports what is missing for the routes; a worker calls it before it
// starts, because it creates no streams itself.
func (c *Client) Verify(ctx context.Context, routes []string) error {
	if err := c.checkServer(ctx); err != nil {
		return err
	}
	missing, errs := []string(nil), []error(nil)
	for _, want := range c.streams(SetupConfig{Routes: routes}.withDefaults()) {
		if want.Name == c.subjects.StreamAdvisory() {
			continue // nothing waits on it
		}
		s, err := c.js.Stream(ctx, want.Name)
		switch {
		case errors.Is(err, natsjs.ErrStreamNotFound):
			missing = append(missing, want.Name)
		case err != nil:
			return fmt.Errorf("look up stream %s: %w", want.Name, err)
		default:
			errs = append(errs, c.conflict(s.CachedInfo().Config, want))
		}
	}
	for _, want := range c.consumersOf(routes, ConsumerConfig{}) {
		if slices.Contains(missing, want.stream) {
			continue
		}
		_, err := c.js.Consumer(ctx, want.stream, want.config.Durable)
		switch {
		case errors.Is(err, natsjs.ErrConsumerNotFound):
			missing = append(missing, want.stream+"/"+want.config.Durable)
		case err != nil:
			return fmt.Errorf("look up consumer %s/%s: %w", want.stream, want.config.Durable, err)
		}
	}
	if len(missing) > 0 {
		errs = append(errs, fmt.Errorf("%w (missing on %s: %s)", ErrMissing, c.server(), strings.Join(missing, ", ")))
	}
	return errors.Join(errs...)
}
