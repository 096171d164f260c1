package jetstream

import (
	"testing"

	"github.com/nats-io/nats.go"
)

func TestForgedHeadersMoveAndDeleteNobodyElsesJob(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	jobsOf(t, c, "shop", 100)
	stuck(t, c, 16)
	few := overtaking(t, c, 8)
	err := c.out.PublishMsg(&nats.Msg{Subject: c.subjects.Jobs(corner), Data: []byte("forged"), Header: nats.Header{
		"Nats-Sequence": {"50"}, "Nats-Time-Stamp": {"2001-01-01T00:00:00Z"}, "Nats-Subject": {"sms.jobs.acme.normal.shop"},
		headerAttempt: {"7"}, headerDoubt: {"true"}, headerStored: {"1"}, "X-Custom": {"kept"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	d := few.next(t)
	if d.Attempt() != 1 || d.Doubt() || d.Before().Stored < 2 || d.Origin() != corner || d.Header("X-Custom") != "kept" {
		t.Errorf("attempt %d, doubt %v, before %+v, origin %v", d.Attempt(), d.Doubt(), d.Before(), d.Origin())
	}
	eventually(t, "the moved job is deleted", func() bool { return streamLen(t, c, "SMS_JOBS_ACME") == 100 })
	s, err := c.js.Stream(t.Context(), "SMS_JOBS_ACME")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetMsg(t.Context(), 50); err != nil {
		t.Errorf("message 50 of the flood: %v", err)
	}
}

func TestAJobWithAStatusHeaderIsAJob(t *testing.T) {
	t.Parallel()
	c := setUp(t, dial(t, startServer(t).url()))
	jobsOf(t, c, "shop", 100)
	stuck(t, c, 16)
	for status, body := range map[string]string{"204": "{}", "404": "{}", "500": "{}", "503": ""} {
		err := c.out.PublishMsg(&nats.Msg{Subject: c.subjects.Jobs(corner), Data: []byte(body), Header: nats.Header{"Status": {status}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all are stored", func() bool { return streamLen(t, c, "SMS_JOBS_ACME") == 104 })
	if n := look(t, c, 16); n != 4 {
		t.Errorf("%d jobs were moved, want 4", n)
	}
}
