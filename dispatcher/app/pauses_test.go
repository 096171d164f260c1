package app_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// operator is who pauses and resumes.
func (r *rig) operator() *app.Pauses {
	r.t.Helper()
	p, err := app.NewPauses(r.t.Context(), r.Config("operator"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(p.Close)
	return p
}

// lane publishes jobs in one lane.
func (r *rig) lane(lane sms.Lane, prefix string, n int) {
	r.t.Helper()
	js, err := jetstream.New(r.Connect(), jetstream.WithDefaultTimeout(30*time.Second))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range n {
		job := fmt.Sprintf(`{"id":"%s-%d","to":"447700900123","text":"%s %d"}`, prefix, i, prefix, i)
		if _, err := js.Publish(r.t.Context(), fmt.Sprintf("sms.jobs.acme.%s.shop", lane), []byte(job)); err != nil {
			r.t.Fatal(err)
		}
	}
}

// texts counts the messages at the SMSC that begin so.
func (r *rig) texts(prefix string) (n int) {
	for _, m := range r.smsc.Submits() {
		if strings.HasPrefix(m.Text(), prefix+" ") {
			n++
		}
	}
	return n
}

func (r *rig) awaitPaused(paused bool) {
	r.t.Helper()
	apptest.Until(r.t, fmt.Sprintf("paused is %t", paused), func() bool { return len(r.Route().Pauses) > 0 == paused })
}

func TestAPausedLaneSendsNothingAcrossARestartAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{}, "")
	w1 := r.Live("w1", routeYAML("acme"))
	op := r.operator()
	if _, err := op.Pause(t.Context(), app.OperatorPause{Route: "acme", Lane: sms.LaneBulk, By: "ada@desk", Reason: "campaign stopped"}, 0); err != nil {
		t.Fatal(err)
	}
	r.awaitPaused(true)
	r.lane(sms.LaneBulk, "bulk", 20)
	r.lane(sms.LaneHigh, "high", 20)
	r.Await("the outcomes of high", func([]*sms.Result) bool { return len(r.Outcomes()) == 20 })
	apptest.Until(t, "only paused jobs wait", func() bool { return r.Route().Limit == dispatcher.LimitPaused })
	p := r.Route().Pauses[0]
	if p.By != "ada@desk" || p.Reason != "campaign stopped" || p.Lane != sms.LaneBulk || p.Since.IsZero() || p.Until != nil {
		t.Errorf("the status shows %+v", p)
	}
	resp, err := http.Get(w1.AdminURL(t.Context()) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	metrics, _ := io.ReadAll(resp.Body)
	for _, line := range []string{`shortwire_paused{lane="bulk",`, `shortwire_route_limit{limit="paused",`} {
		if !slices.ContainsFunc(strings.Split(string(metrics), "\n"), func(l string) bool { return strings.HasPrefix(l, line) && strings.HasSuffix(l, " 1") }) {
			t.Errorf("no metric %s…} 1", line)
		}
	}
	if err := w1.Stop(); err != nil {
		t.Fatal(err)
	}
	r.Worker("w2")
	r.lane(sms.LaneNormal, "normal", 20)
	r.Await("the outcomes of normal", func([]*sms.Result) bool { return len(r.Outcomes()) == 40 })
	if n := r.texts("bulk"); n != 0 {
		t.Errorf("%d messages of the paused lane at the SMSC", n)
	}
	ended, still, err := op.Resume(t.Context(), "acme", "")
	if err != nil || len(ended) != 1 || len(still) != 0 {
		t.Errorf("resumed %v, still %v, %v", ended, still, err)
	}
	r.judgeFirstAttempts(60)
}

func TestAPauseOfARouteLetsWhatIsInFlightEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{Latency: 3 * time.Second}, "")
	r.Live("w1", routeYAML("acme", "binds: 2", "window: 5"))
	r.lane(sms.LaneNormal, "n", 100)
	apptest.Until(t, "the windows are full", func() bool { return r.accepted() >= 10 })
	op := r.operator()
	set, err := op.Pause(t.Context(), app.OperatorPause{Route: "acme", By: "ada@desk"}, 8*time.Second)
	if err != nil || set.Until == nil {
		t.Fatalf("%+v, %v", set, err)
	}
	r.awaitPaused(true)
	before := r.accepted()
	r.Await("results and receipts of what was in flight", func(all []*sms.Result) bool { return len(all) == 2*before })
	if n := r.accepted(); n != before || n == 100 {
		t.Errorf("%d messages at the SMSC, %d when the pause was noticed", n, before)
	}
	if r.Route().Limit != dispatcher.LimitPaused {
		t.Errorf("limit %s", r.Route().Limit)
	}
	r.awaitPaused(false) // by itself
	apptest.Until(t, "it goes on", func() bool { return r.accepted() > before })
	if _, _, err := op.Resume(t.Context(), "acme", ""); err != nil {
		t.Error(err)
	}
	r.judgeFirstAttempts(100)
}

func TestAPauseOfNoRouteNamesThoseThereAre(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{}, "")
	op := r.operator()
	_, err := op.Pause(t.Context(), app.OperatorPause{Route: "acne", By: "ada@desk"}, 0)
	_, _, other := op.Resume(t.Context(), "acne", sms.LaneBulk)
	for _, err := range []error{err, other} {
		var unknown *app.UnknownRouteError
		if !errors.As(err, &unknown) || err.Error() != `route "acne" is not configured, known are acme; did you mean acme?` {
			t.Errorf("error %v", err)
		}
	}
	if all, err := op.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("paused %v, %v", all, err)
	}
}
