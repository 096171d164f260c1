package app_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
)

// says returns what a path of an admin server answers, a line.
func says(url string) (int, string) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body) // half a line is not what is waited for
	return resp.StatusCode, strings.TrimSpace(string(body))
}

// becomes waits until a path answers so.
func becomes(t *testing.T, url string, code int, text string) {
	t.Helper()
	apptest.Until(t, url+" says "+text, func() bool {
		got, said := says(url)
		return got == code && strings.Contains(said, text)
	})
}

func TestReadinessTellsWhatIsMissing(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{SystemID: "acme", Password: "secret"}, "")
	stop := r.Worker("w1")
	ready, alive := r.AdminURL()+"/readyz", r.AdminURL()+"/healthz"
	becomes(t, ready, http.StatusOK, "ready")

	r.smsc.Refuse(true)
	r.smsc.CutConnections()
	becomes(t, ready, http.StatusServiceUnavailable, "no route has a bind")
	r.smsc.Refuse(false)
	becomes(t, ready, http.StatusOK, "ready")

	r.Redis.Stop()
	becomes(t, ready, http.StatusServiceUnavailable, "redis is away")
	r.Redis.Restart()
	becomes(t, ready, http.StatusOK, "ready")

	start := r.StopNATS()
	becomes(t, ready, http.StatusServiceUnavailable, "nats is away")
	start()
	becomes(t, ready, http.StatusOK, "ready")

	js, err := jetstream.New(r.Connect())
	if err != nil {
		t.Fatal(err)
	}
	results, err := js.Stream(t.Context(), "SMS_RESULTS")
	if err != nil {
		t.Fatal(err)
	}
	full := results.CachedInfo().Config
	full.Discard, full.MaxMsgs = jetstream.DiscardNew, 1
	if _, err := js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	r.Publish(apptest.Jobs(3, `{"id":"j%d","to":"447700900123","text":"x"}`)...)
	becomes(t, ready, http.StatusServiceUnavailable, "nats takes no results: ")
	full.MaxMsgs = -1
	if _, err := js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	becomes(t, ready, http.StatusOK, "ready")
	if code, said := says(alive); code != http.StatusOK {
		t.Errorf("after all that it is not alive: %d %s", code, said)
	}

	// A message that the SMSC does not answer keeps the drain from its end.
	r.smsc.Stall()
	r.Publish(`{"id":"last","to":"447700900123","text":"x"}`)
	apptest.Until(t, "it is in hand", func() bool { return r.Route().Lanes["normal"].InFlight > 0 })
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	becomes(t, ready, http.StatusServiceUnavailable, "draining")
	r.smsc.Resume()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAWorkerThatCannotLeaseABindSlotIsNotReady(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{SystemID: "acme", Password: "secret"}, "    max_binds: 2\n")
	r.Worker("w1")
	ready := r.AdminURL() + "/readyz"
	becomes(t, ready, http.StatusOK, "ready")
	// What is there is no slots: Redis answers, and gives none.
	db := r.redis()
	for _, key := range db.Keys(t.Context(), "sw:b:*").Val() {
		db.Del(t.Context(), key)
		if err := db.Set(t.Context(), key, "no hash", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	becomes(t, ready, http.StatusServiceUnavailable, "cannot lease one: ")
	db.Del(t.Context(), "sw:b:{acme}")
	becomes(t, ready, http.StatusOK, "ready")
}

// stuck is a log that nobody reads any more, as a full pipe is, from the line on
// that contains a text.
type stuck struct {
	text string
	free chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	if strings.Contains(string(p), s.text) {
		<-s.free
	}
	return len(p), nil
}

func TestAWedgedPipelineIsNotAliveAndAnIdleOneIs(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{SystemID: "acme", Password: "secret"}, "    response_timeout: 100ms\n")
	log := &stuck{"job without an id refused", make(chan struct{})}
	w, err := app.New(r.Config("w1"), app.Deps{Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	w.SetPatience(100 * time.Millisecond)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	free := sync.OnceFunc(func() { close(log.free) })
	t.Cleanup(func() {
		free()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	alive := w.AdminURL(t.Context()) + "/healthz"
	apptest.Until(t, "it is bound", func() bool { s := w.Status().Routes; return len(s) > 0 && s[0].Binds[0].State == "bound" })
	looks := w.Status().UptimeS
	apptest.Until(t, "it has been idle for longer than it may be stuck", func() bool { return w.Status().UptimeS > looks+2.5 })
	if code, said := says(alive); code != http.StatusOK {
		t.Errorf("idle: %d %s", code, said)
	}
	r.Publish(`no job`)
	becomes(t, alive, http.StatusServiceUnavailable, "route acme has had 1 jobs in hand for ")
	free()
	becomes(t, alive, http.StatusOK, "ok")
}
