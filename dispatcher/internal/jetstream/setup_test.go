package jetstream

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestSetupCreatesThenKeepsThenUpdates(t *testing.T) {
	t.Parallel()
	c := dial(t, startServer(t).url())
	cfg := SetupConfig{Routes: []string{"acme", "Other-1"}}

	changes, err := c.Setup(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	// Seven streams; three consumers for each route and lane.
	if len(changes) != 7+18 || !all(changes, Created) {
		t.Errorf("first run: %v", changes)
	}
	if changes, err = c.Setup(t.Context(), cfg); err != nil || !all(changes, Unchanged) {
		t.Errorf("second run: %v, %v", changes, err)
	}
	if err := c.Verify(t.Context(), cfg.Routes); err != nil {
		t.Errorf("Verify: %v", err)
	}

	cfg.ResultsMaxAge = 24 * time.Hour
	cfg.JobsMaxPerSubject = 10
	cfg.Consumers.AckWait = 30 * time.Second
	if changes, err = c.Setup(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, ch := range changes {
		if ch.Action != Unchanged && !strings.Contains(ch.Name, "/") {
			lines = append(lines, ch.String())
		}
	}
	want := []string{
		"updated stream SMS_JOBS_ACME: max_msgs_per_subject 5000000 → 10",
		"updated stream SMS_JOBS_OTHER-1: max_msgs_per_subject 5000000 → 10",
		"updated stream SMS_RESULTS: max_age 168h0m0s → 24h0m0s",
		"updated stream SMS_INBOUND: max_age 168h0m0s → 24h0m0s",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	last := changes[len(changes)-1].String()
	if last != "updated consumer SMS_RETRY/turn-Other-1-bulk: ack_wait 1m15s → 30s" {
		t.Errorf("last change: %s", last)
	}
}

func all(changes []Change, a Action) bool {
	return !slices.ContainsFunc(changes, func(c Change) bool { return c.Action != a })
}

func TestSetupKeepsWhatOperatorsAdded(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	s, err := c.js.Stream(t.Context(), "SMS_RESULTS")
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.Description, cfg.Compression, cfg.AllowDirect = "ours", natsjs.S2Compression, false
	if _, err := c.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	setUp(t, c)
	if s, err = c.js.Stream(t.Context(), "SMS_RESULTS"); err != nil {
		t.Fatal(err)
	}
	got := s.CachedInfo().Config
	if got.Description != "ours" || got.Compression != natsjs.S2Compression || !got.AllowDirect {
		t.Errorf("after setup: %+v", got)
	}
}

func TestSetupRefusesAStreamOfSomeoneElseAndChangesNothing(t *testing.T) {
	t.Parallel()
	for name, theirs := range map[string]natsjs.StreamConfig{
		"wrong retention": {Name: "SMS_RESULTS", Subjects: []string{"sms.results.>"}, Retention: natsjs.WorkQueuePolicy},
		"wrong storage":   {Name: "SMS_RESULTS", Subjects: []string{"sms.results.>"}, Storage: natsjs.MemoryStorage},
		"other subjects":  {Name: "SMS_RESULTS", Subjects: []string{"texts.>"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, startServer(t).url())
			if _, err := c.js.CreateStream(t.Context(), theirs); err != nil {
				t.Fatal(err)
			}
			changes, err := c.Setup(t.Context(), SetupConfig{Routes: []string{"acme"}})
			if !errors.Is(err, ErrConflict) || !contains(err.Error(), "nats.subject_prefix") || len(changes) != 0 {
				t.Errorf("%v, %v", changes, err)
			}
			if _, err := c.js.Stream(t.Context(), "SMS_JOBS_ACME"); !errors.Is(err, natsjs.ErrStreamNotFound) {
				t.Errorf("a stream was created all the same: %v", err)
			}
			if err := c.Verify(t.Context(), []string{"acme"}); !errors.Is(err, ErrConflict) {
				t.Errorf("Verify: %v", err)
			}
		})
	}
}

func TestSetupNamesTheStreamThatHasTheSubjects(t *testing.T) {
	t.Parallel()
	c := dial(t, startServer(t).url())
	if _, err := c.js.CreateStream(t.Context(), natsjs.StreamConfig{Name: "THEIRS", Subjects: []string{"sms.inbound.*"}}); err != nil {
		t.Fatal(err)
	}
	_, err := c.Setup(t.Context(), SetupConfig{Routes: []string{"acme"}})
	if err == nil || !contains(err.Error(), "stream THEIRS has sms.inbound.*") {
		t.Error(err)
	}
}

func TestTwoDeploymentsShareAServer(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	setUp(t, dial(t, srv.url()))
	staging := dial(t, srv.url(), func(c *Config) { c.Prefix = "staging.sms" })
	changes, err := staging.Setup(t.Context(), SetupConfig{Routes: []string{"acme"}})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(changes, func(c Change) bool { return c.Name == "STAGING_SMS_ADVISORY" })
	if got := changes[i].String(); !contains(got, "stream SMS_ADVISORY keeps these advisories") {
		t.Error(got)
	}
	if again, err := staging.Setup(t.Context(), SetupConfig{Routes: []string{"acme"}}); err != nil || !all(again, Unchanged) {
		t.Errorf("%v, %v", again, err)
	}
}

func TestSetupRefusesRoutesThatShareAStream(t *testing.T) {
	t.Parallel()
	c := dial(t, startServer(t).url())
	_, err := c.Setup(t.Context(), SetupConfig{Routes: []string{"acme", "ACME"}})
	if err == nil || !contains(err.Error(), "acme and ACME would share stream SMS_JOBS_ACME") {
		t.Error(err)
	}
}

func TestWithoutJetStreamSetupAndVerifySayHowToEnableIt(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	srv.opts.JetStream = false
	srv.restart()
	c := dial(t, srv.url())
	_, err := c.Setup(t.Context(), SetupConfig{Routes: []string{"acme"}})
	for _, err := range []error{err, c.Verify(t.Context(), nil)} {
		if err == nil || !contains(err.Error(), "JetStream is not enabled") || !contains(err.Error(), "-js") {
			t.Error(err)
		}
	}
}

func TestVerifyListsWhatIsMissingAndNamesTheCommand(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	if err := c.js.DeleteConsumer(t.Context(), "SMS_RETRY", "due-acme-high"); err != nil {
		t.Fatal(err)
	}
	err := c.Verify(t.Context(), []string{"acme", "globex"})
	if !errors.Is(err, ErrMissing) {
		t.Fatal(err)
	}
	for _, part := range []string{"shortwire setup --config F", "SMS_JOBS_GLOBEX", "SMS_RETRY/due-acme-high", "SMS_RETRY/due-globex-bulk"} {
		if !contains(err.Error(), part) {
			t.Errorf("%q does not name %s", err, part)
		}
	}
}

func TestDialFailsClearlyWhenNoServerAnswers(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	srv.stop()
	_, err := Dial(t.Context(), Config{URL: "nats://user:secret@" + srv.addr(), ConnectWait: 300 * time.Millisecond})
	if err == nil || !contains(err.Error(), srv.addr()) || !contains(err.Error(), "check nats.url") || contains(err.Error(), "secret") {
		t.Error(err)
	}
}

func TestPublishJobTellsAFullLaneAnUnknownLaneAndARepeatApart(t *testing.T) {
	t.Parallel()
	c := dial(t, startServer(t).url())
	if _, err := c.Setup(t.Context(), SetupConfig{Routes: []string{"acme"}, JobsMaxPerSubject: 2}); err != nil {
		t.Fatal(err)
	}
	publish := func(o sms.Origin, id string) (bool, error) {
		return c.PublishJob(t.Context(), o, []byte("x"), id)
	}
	if dup, err := publish(shop, "a"); dup || err != nil {
		t.Errorf("first: %v, %v", dup, err)
	}
	if dup, err := publish(shop, "a"); !dup || err != nil {
		t.Errorf("repeat: %v, %v", dup, err)
	}
	if _, err := publish(shop, "b"); err != nil {
		t.Error(err)
	}
	if _, err := publish(shop, "c"); !errors.Is(err, ErrStreamFull) {
		t.Errorf("flood: %v", err)
	}
	// A flood by one producer pushes back on that producer only.
	bank := shop
	bank.Producer = "bank"
	if _, err := publish(bank, "d"); err != nil {
		t.Error(err)
	}
	unknown := shop
	unknown.Lane = "urgent"
	if _, err := publish(unknown, "e"); !errors.Is(err, ErrNoStream) || !contains(err.Error(), "shortwire setup") {
		t.Errorf("unknown lane: %v", err)
	}
	if _, err := c.PublishJob(t.Context(), shop, make([]byte, 2<<20), "f"); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}
