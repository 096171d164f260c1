package load

import (
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestPaceKeepsToItsTimesAndLosesNothing(t *testing.T) {
	t.Parallel()
	s, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	nc, js, err := Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: Jobs, Subjects: []string{"sms.jobs.>"}}); err != nil {
		t.Fatal(err)
	}
	const jobs, rate = 200, 1000.0
	var due, at []time.Time
	err = Pace(t.Context(), nc, func(yield func(Job) bool) {
		for i := range jobs {
			if !yield(Single("p", i)) {
				return
			}
		}
	}, rate, func(d, a time.Time) { due, at = append(due, d), append(at, a) })
	if err != nil {
		t.Fatal(err)
	}
	if n, err := Waiting(t.Context(), js, Jobs); err != nil || n != jobs || len(due) != jobs {
		t.Errorf("%d stored, %d told, %v, want %d", n, len(due), err, jobs)
	}
	for i := range due {
		if want := due[0].Add(time.Duration(i) * time.Millisecond); due[i].Sub(want).Abs() > time.Microsecond || at[i].Before(due[i]) {
			t.Fatalf("job %d: due %s, published %s, want due %s and not earlier", i, due[i], at[i], want)
		}
	}
}

func TestPaceTellsWhatTheServerDidNotTake(t *testing.T) {
	t.Parallel()
	s, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	nc, _, err := Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	err = Pace(t.Context(), nc, func(yield func(Job) bool) { yield(Single("p", 1)) }, 0, func(_, _ time.Time) {})
	if err == nil {
		t.Error("a job for which there is no stream counts as published")
	}
}

func TestCyrillicIsOneUCS2MessageOfTheLengthOfSingle(t *testing.T) {
	t.Parallel()
	a, b := Single("t", 7), Cyrillic("t", 7)
	if len([]rune(a.Text)) != len([]rune(b.Text)) {
		t.Errorf("%d and %d characters", len([]rune(a.Text)), len([]rune(b.Text)))
	}
	if _, err := sms.DecodeJob(b.AppendJSON(nil)); err != nil {
		t.Error(err)
	}
}
