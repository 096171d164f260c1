package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestTheFleetIsSeenFromAnyWorkerAndWhoIsMissing(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{}, "")
	r.Publish(`{"id":"bad","to":"447700900123","txt":"x"}`)
	stop := r.Worker("w1")
	r.AwaitKinds("bad", sms.KindFailed)
	r.Worker("w2")
	var f app.FleetStatus
	apptest.Until(t, "both answer", func() bool {
		f = get[app.FleetStatus](r, "/fleet")
		return len(f.Workers) == 2 && len(f.Workers[1].Routes) == 1 && len(f.Workers[1].Routes[0].Binds) == 2
	})
	if f.Asked != "w2" || f.Workers[0].Worker != "w1" || f.Workers[1].Worker != "w2" || len(f.Missing) != 0 || f.Error != "" {
		t.Errorf("%+v", f)
	}
	w1 := f.Workers[0]
	if w1.Routes[0].LimitWhy == "" || w1.Version != "test" || len(w1.Errors) != 0 {
		t.Errorf("%+v", w1)
	}
	if b := w1.Routes[0].Binds[0]; b.State == "" || len(b.Entered) != 0 {
		t.Errorf("%+v", b)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	apptest.Until(t, "one is missing", func() bool {
		f = get[app.FleetStatus](r, "/fleet")
		return len(f.Workers) == 1 && len(f.Missing) == 1 && f.Missing[0].Worker == "w1" && !f.Missing[0].Last.IsZero()
	})
	r.NATS.Shutdown()
	apptest.Until(t, "it says that it cannot ask", func() bool {
		f = get[app.FleetStatus](r, "/fleet")
		return len(f.Workers) == 1 && !f.Workers[0].NATS.OK && f.Error == "NATS is away"
	})
}

// post sends a form to the admin server of the last worker.
func (r *rig) post(path string, form url.Values, header ...string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.AdminURL()+path, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestARouteIsPausedAndResumedOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{}, "")
	r.Worker("w1")
	apptest.Until(t, "it is ready", func() bool { return len(r.Route().Binds) == 2 })
	for _, bad := range []struct {
		path string
		form url.Values
		code int
		says string
	}{
		{"/pause", url.Values{}, 400, "route: must be given\n"},
		{"/pause", url.Values{"route": {"acne"}}, 404, `no such route: route "acne" is not configured, known are acme; did you mean acme?` + "\n"},
		{"/resume", url.Values{"route": {"acne"}}, 404, `no such route: route "acne" is not configured, known are acme; did you mean acme?` + "\n"},
		{"/pause", url.Values{"route": {"acme"}, "lane": {"fast"}}, 400, "bad request: lane must be one of [high normal bulk], is \"fast\"\n"},
		{"/pause", url.Values{"route": {"acme"}, "for": {"soon"}}, 400, "for: must be a duration of 1s or more, like 30m or 2h\n"},
		{"/pause", url.Values{"route": {"acme"}, "until": {"1h"}}, 400, "\"until\": no such parameter\n"},
		{"/pause", url.Values{"route": {"acme"}, "reason": {strings.Repeat("x", 201)}}, 400, "reason: must be at most 200 characters\n"},
	} {
		if code, says := r.post(bad.path, bad.form); code != bad.code || says != bad.says {
			t.Errorf("%s %v: %d %q", bad.path, bad.form, code, says)
		}
	}
	if code, _ := r.post("/pause", url.Values{"route": {"acme"}}, "Sec-Fetch-Site", "cross-site"); code != 403 {
		t.Errorf("another site's page is answered %d", code)
	}
	if len(r.Route().Pauses) != 0 {
		t.Fatal("it is paused")
	}
	code, body := r.post("/pause", url.Values{"route": {"acme"}, "lane": {"bulk"}, "for": {"2h"}, "reason": {"campaign\x00 stopped"}, "by": {"ada"}})
	var s app.PausesStatus
	if err := json.Unmarshal([]byte(body), &s); err != nil || code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	if len(s.Paused) != 1 || s.Paused[0].Lane != sms.LaneBulk || s.Paused[0].Reason != "campaign stopped" || s.Paused[0].By != "ada" || s.Paused[0].Until == nil {
		t.Errorf("%+v", s)
	}
	if p := r.Route().Pauses; len(p) != 1 { // at once
		t.Errorf("paused %+v", p)
	}
	if code, body := r.post("/resume", url.Values{"route": {"acme"}, "by": {"ada"}}); code != 200 || !strings.Contains(body, `"ended"`) {
		t.Errorf("%d %s", code, body)
	}
	if p := r.Route().Pauses; len(p) != 0 {
		t.Errorf("paused %+v", p)
	}
}
