package load

import (
	"strings"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

func TestWorkerTakesTheConfiguration(t *testing.T) {
	t.Parallel()
	w := Worker{
		ID: "worker-1", NATS: "nats://127.0.0.1:4222", Redis: "redis://127.0.0.1:6379/0", Admin: "127.0.0.1:8080", Replicas: 3,
		Routes: []Account{{
			SMSC: "127.0.0.1:2775", Binds: 4, MaxBinds: 6, Window: 1000, Rate: 500, Burst: 20,
			ResponseTimeout: 5 * time.Second, ParkingTime: 10 * time.Second,
		}},
	}
	plain := Worker{ID: w.ID, NATS: w.NATS, Redis: w.Redis, Admin: w.Admin, Routes: []Account{{Name: "other", SMSC: "127.0.0.1:2775", Binds: 1, Window: 1}, w.Routes[0]}}
	env := func(key string) string {
		if key == PasswordEnv {
			return Password
		}
		return ""
	}
	for name, w := range map[string]Worker{"full": w, "one of two routes": plain} {
		c, err := app.Parse("bench.yaml", w.YAML(), env)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, w.YAML())
			continue
		}
		r, ok := c.Route(Route)
		a := w.Routes[len(w.Routes)-1]
		if !ok || r.Binds != a.Binds || r.MaxBinds != a.MaxBinds || r.Window != a.Window || r.Rate != float64(a.Rate) || r.Burst != a.Burst ||
			r.SystemID != Route || len(c.Routes) != len(w.Routes) || c.Worker.ID != w.ID || c.NATS.URL != w.NATS || c.NATS.Replicas != max(1, w.Replicas) {
			t.Errorf("%s is read as %+v", name, c)
		}
	}
}

func TestJobsAreValidAndBecomeTheirParts(t *testing.T) {
	t.Parallel()
	once := Single("t", 3)
	once.Delivery = "at_most_once"
	for _, c := range []struct {
		job   Job
		parts int
	}{{Single("t", 1), 1}, {once, 1}, {Multipart("t", 2, 3), 3}, {Multipart("t", 9_999_999, 2), 2}} {
		job, err := sms.DecodeJob(c.job.AppendJSON(nil))
		if err != nil {
			t.Errorf("%+v: %v", c.job, err)
			continue
		}
		if job.ID != c.job.ID || *job.Text != c.job.Text || (c.job.Delivery != "" && string(job.Delivery) != c.job.Delivery) {
			t.Errorf("%+v is read as %+v", c.job, job)
		}
		e, err := text.Encode(*job.Text, text.Options{})
		if err != nil || len(e.Segments) != c.parts {
			t.Errorf("%s: %d parts, %v, want %d", c.job.ID, len(e.Segments), err, c.parts)
			continue
		}
		for _, s := range e.Segments {
			if !strings.HasPrefix(string(s.Payload), c.job.ID+" ") {
				t.Errorf("a part of %s begins with %q", c.job.ID, s.Payload)
			}
		}
	}
}

func TestNumbersAreFictionalAndOrdinary(t *testing.T) {
	t.Parallel()
	for i := range 1000 {
		if n := Number(i); n < "447700900000" || n > "447700900399" || len(n) != 12 {
			t.Errorf("number %s", n)
		}
	}
}
