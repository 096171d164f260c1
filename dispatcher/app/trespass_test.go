package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
)

// trespass is a user who tries what is none of theirs. The server says so out
// of band, after a ping at the latest.
type trespass struct {
	t    *testing.T
	user string
	nc   *nats.Conn
	js   jetstream.JetStream
}

// refused runs an attempt and fails the test unless the server refuses it.
func (x *trespass) refused(what string, attempt func() error) {
	x.t.Helper()
	told := make(chan error, 8)
	x.nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		select {
		case told <- err:
		default:
		}
	})
	if err := attempt(); err != nil && !errors.Is(err, nats.ErrPermissionViolation) {
		x.t.Errorf("%s: %s: %v", x.user, what, err)
		return
	}
	deadline := time.After(30 * time.Second)
	for {
		if err := x.nc.FlushTimeout(30 * time.Second); err != nil {
			x.t.Fatal(err)
		}
		select {
		case err := <-told:
			if errors.Is(err, nats.ErrPermissionViolation) {
				return
			}
			x.t.Errorf("%s: %s: %v", x.user, what, err)
			return
		case <-deadline:
			x.t.Errorf("%s can: %s", x.user, what)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (x *trespass) publishes(subjects ...string) {
	x.t.Helper()
	for _, s := range subjects {
		x.refused("publish to "+s, func() error { return x.nc.Publish(s, []byte("{}")) })
	}
}

func (x *trespass) subscribes(subjects ...string) {
	x.t.Helper()
	for _, s := range subjects {
		x.refused("subscribe to "+s, func() error { _, err := x.nc.SubscribeSync(s); return err })
	}
}

func TestNobodyDoesOnNATSWhatIsAnothers(t *testing.T) {
	t.Parallel()
	s := newStrict(t, smsctest.Config{})
	operator := s.config("operator", "setup")
	operator.NATS.ResultsFor = []string{"shop", "other"}
	if err := app.Setup(t.Context(), operator, io.Discard); err != nil {
		t.Fatal(err)
	}
	_, admin := s.as("operator")
	for _, producer := range []string{"shop", "other"} {
		s.publish(admin, producer, fmt.Sprintf(`{"id":"of-%s","to":"+447700900123","text":"x"}`, producer))
		if _, err := admin.Publish(t.Context(), "sms.results."+producer+".acme.submitted", []byte(`{"producer":"`+producer+`"}`)); err != nil {
			t.Fatal(err)
		}
	}
	everybodys := []string{">", "sms.>", "sms.jobs.>", "sms.results.>", "sms.results.shop.>", "sms.results.other.>", "sms.inbound.*", "sms.dead.*",
		"sms.status.ask", "$JS.>", "_INBOX.>", "_INBOX_worker.>", "_INBOX_operator.>"}
	reads := func(stream string) []string {
		return []string{"$JS.API.DIRECT.GET." + stream, "$JS.API.STREAM.MSG.GET." + stream, "$JS.API.STREAM.INFO." + stream, "$JS.API.STREAM.PURGE." + stream,
			"$JS.API.STREAM.MSG.DELETE." + stream, "$JS.API.STREAM.DELETE." + stream, "$JS.API.STREAM.UPDATE." + stream, "$JS.API.STREAM.SNAPSHOT." + stream,
			"$JS.API.CONSUMER.CREATE." + stream, "$JS.API.CONSUMER.CREATE." + stream + ".mine", "$JS.API.CONSUMER.CREATE." + stream + ".mine.sms.results.shop.*.*",
			"$JS.API.CONSUMER.DURABLE.CREATE." + stream + ".mine", "$JS.API.CONSUMER.DELETE." + stream + ".other", "$JS.API.CONSUMER.MSG.NEXT." + stream + ".other"}
	}

	shop := &trespass{t: t, user: "shop"}
	shop.nc, shop.js = s.as("shop")
	shop.publishes("sms.jobs.acme.normal.other", "sms.jobs.acme.normal.shop.x", "sms.results.shop.acme.submitted", "sms.retry.due.acme.normal.shop",
		"sms.retry.at.acme.x", "sms.inbound.acme", "sms.dead.acme", "sms.status.ask", "_INBOX_worker.x", "$JS.API.INFO", "$JS.API.STREAM.NAMES",
		"$JS.API.CONSUMER.MSG.NEXT.SMS_JOBS_ACME.normal", "$JS.ACK.SMS_JOBS_ACME.normal.1.1.1.1.1")
	for _, stream := range []string{"SMS_JOBS_ACME", "SMS_RESULTS", "SMS_RETRY"} {
		shop.publishes(reads(stream)...)
	}
	shop.subscribes(append(everybodys, "_INBOX_shop_results.>", "sms.jobs.acme.normal.shop")...)

	reader := &trespass{t: t, user: "shop-results"}
	reader.nc, reader.js = s.as("shop-results")
	reader.publishes(append(reads("SMS_RESULTS"), "sms.jobs.acme.normal.shop", "sms.results.shop.acme.submitted",
		"$JS.API.CONSUMER.INFO.SMS_RESULTS.other", "$JS.ACK.SMS_RESULTS.other.1.1.1.1.1", "$JS.API.CONSUMER.MSG.NEXT.SMS_JOBS_ACME.normal")...)
	reader.publishes(reads("SMS_JOBS_ACME")...)
	reader.subscribes(append(everybodys, "_INBOX_shop.>")...)

	worker := &trespass{t: t, user: "worker"}
	worker.nc, worker.js = s.as("worker")
	worker.publishes("sms.jobs.acme.normal.shop", "$JS.API.CONSUMER.MSG.NEXT.SMS_RESULTS.shop", "$JS.ACK.SMS_RESULTS.shop.1.1.1.1.1",
		"$JS.API.STREAM.DELETE.SMS_JOBS_ACME", "$JS.API.STREAM.PURGE.SMS_JOBS_ACME", "$JS.API.STREAM.UPDATE.SMS_JOBS_ACME", "$JS.API.STREAM.CREATE.SMS_JOBS_X",
		"$JS.API.CONSUMER.DELETE.SMS_JOBS_ACME.normal", "$JS.API.STREAM.MSG.DELETE.SMS_RESULTS", "$JS.API.DIRECT.GET.SMS_RESULTS", "_INBOX_shop.x")
	worker.subscribes(slices.DeleteFunc(everybodys, func(s string) bool { return s == "sms.status.ask" || s == "_INBOX_worker.>" })...)

	// What is theirs works, and nothing of the above has happened.
	s.publish(shop.js, "shop", `{"id":"second","to":"+447700900123","text":"x"}`)
	consumer, err := reader.js.Consumer(t.Context(), "SMS_RESULTS", "shop")
	if err != nil {
		t.Fatal(err)
	}
	batch, err := consumer.FetchNoWait(10)
	if err != nil {
		t.Fatal(err)
	}
	var read []string
	for m := range batch.Messages() {
		read = append(read, m.Subject())
	}
	if want := []string{"sms.results.shop.acme.submitted"}; !slices.Equal(read, want) {
		t.Errorf("the reader of shop's results reads %q", read)
	}
	for stream, want := range map[string]uint64{"SMS_JOBS_ACME": 3, "SMS_RESULTS": 2, "SMS_RETRY": 0, "SMS_DEAD": 0, "SMS_INBOUND": 0} {
		found, err := admin.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		if got := found.CachedInfo().State; got.Msgs != want {
			t.Errorf("%s has %d messages, want %d", stream, got.Msgs, want)
		}
	}
}

// A PubAck goes to whatever subject the publisher names. deploy/nats/permissions.conf
// says what comes of it; should a server prevent it one day, that can go.
func TestAPubAckStoredAsAnothersJobIsNoJob(t *testing.T) {
	t.Parallel()
	s := newStrict(t, smsctest.Config{SystemID: "acme", Password: "secret"})
	if err := app.Setup(t.Context(), s.config("operator", "setup"), io.Discard); err != nil {
		t.Fatal(err)
	}
	nc, _ := s.as("shop")
	if err := nc.PublishRequest("sms.jobs.acme.normal.shop", "sms.jobs.acme.bulk.other", []byte(`{"id":"j","to":"+447700900123","text":"x"}`)); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	_, admin := s.as("operator")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	jobs, err := admin.Stream(ctx, "SMS_JOBS_ACME")
	if err != nil {
		t.Fatal(err)
	}
	var forged *jetstream.RawStreamMsg
	apptest.Until(t, "the server stores the PubAck, as permissions.conf says", func() bool {
		forged, err = jobs.GetLastMsgForSubject(ctx, "sms.jobs.acme.bulk.other")
		return !errors.Is(err, jetstream.ErrMsgNotFound)
	})
	if err != nil {
		t.Fatal(err)
	}
	var job struct{ To, Text string }
	if json.Unmarshal(forged.Data, &job) == nil && (job.To != "" || job.Text != "") || !strings.Contains(string(forged.Data), `"stream":"SMS_JOBS_ACME"`) {
		t.Errorf("it is more than a PubAck: %s", forged.Data)
	}
}
