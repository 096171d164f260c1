package crash_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/load"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

const (
	lateBy  = 1500 * time.Millisecond // a receipt after its answer: the job is acked by then
	earlyBy = 500 * time.Millisecond  // an answer after its receipt, or after its submit_sm
	// ackWait stands for the 30 s after which a dead worker's jobs come back.
	ackWait = 2 * time.Second
	// patience bounds each wait; a replaced worker's lease takes 15 s to run out.
	patience = 90 * time.Second
	// together is how many rows run at once: nearly all of them wait.
	together = 24
)

var worker string // built with the tag failpoints

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if testing.Short() {
		fmt.Println("the crash table is not tested with -short")
		return 0
	}
	if err := flag.Set("test.parallel", fmt.Sprint(together)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "shortwire-crash-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	worker = filepath.Join(dir, "shortwire")
	if out, err := build(worker, "-tags", "failpoints"); err != nil {
		fmt.Fprintf(os.Stderr, "build the worker: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func build(to string, flags ...string) ([]byte, error) {
	args := append(append([]string{"build"}, flags...), "-o", to, "github.com/shortwire-sms/shortwire/cmd/shortwire")
	return exec.Command("go", args...).CombinedOutput()
}

func TestReleasedWorkerHasNoFailpoints(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "shortwire")
	if out, err := build(plain); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for path, want := range map[string]bool{plain: false, worker: true} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, trace := range append(points(), "SHORTWIRE_FAILPOINT", "dispatcher/failpoint.") {
			if got := bytes.Contains(b, []byte(trace)); got != want {
				t.Errorf("%s contains %q: %t, want %t", filepath.Base(filepath.Dir(path)), trace, got, want)
			}
		}
	}
}

// points are the names in the table that no other string of a worker contains.
func points() (names []string) {
	for _, r := range table {
		name, _, _ := strings.Cut(r.point, ":")
		names = append(names, name)
	}
	return names
}

func TestWorkerKilledAtAnyPointKeepsThePromises(t *testing.T) {
	t.Parallel()
	for _, r := range table {
		sizes := r.parts
		if sizes == nil {
			sizes = []int{1, 3}
		}
		for i, parts := range sizes {
			for _, amo := range []bool{false, true} {
				for _, successor := range []string{"w1", "w2"} {
					j := job{parts: parts, atMostOnce: amo}
					if !whole && (i > 0 || amo || successor != "w1" || !r.brief()) {
						continue
					}
					if successor == "w2" && parts > 1 && r.parts == nil {
						continue // takes 20 s, and shows what one part shows
					}
					t.Run(name(r, j, successor), func(t *testing.T) {
						t.Parallel()
						play(t, r, j, successor)
					})
				}
			}
		}
	}
}

func name(r row, j job, successor string) string {
	delivery, by := "at least once", "started again"
	if j.atMostOnce {
		delivery = "at most once"
	}
	if successor != "w1" {
		by = "replaced"
	}
	return fmt.Sprintf("%s, %s, %s, %s", r.after, map[int]string{1: "one part", 3: "three parts"}[j.parts], delivery, by)
}

// play kills a worker at the point, has a successor finish, and judges.
func play(t *testing.T, r row, j job, successor string) {
	newStage(t, r.smsc).play(r, j, successor)
}

func (s *stage) play(r row, j job, successor string) {
	t := s.t
	w := s.start("w1", "SHORTWIRE_FAILPOINT="+r.point)
	s.apptest.Publish(s.order(j, r.smsc))
	select {
	case <-w.Done():
	case <-time.After(patience):
		t.Fatalf("the worker never came to %s\n%s\n%s", r.point, w.Tail(20), s.say())
	}
	if name, _, _ := strings.Cut(r.point, ":"); !strings.Contains(w.Tail(3), "failpoint "+name) {
		t.Fatalf("the worker ended elsewhere than at %s\n%s", r.point, w.Tail(20))
	}
	if s.between != nil {
		s.between()
	}
	w = s.start(successor, "")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.Ready(ctx, bound(successor, w)); err != nil {
		t.Fatal(err)
	}
	if err := rig.Await(ctx, "the end of the job", s.finished); err != nil {
		t.Fatalf("%v\n%s\n%s", err, w.Tail(20), s.say())
	}
	if code, err := w.Terminate(ctx); err != nil || code != 0 {
		t.Errorf("the successor ended with %d, %v\n%s", code, err, w.Tail(20))
	}
	got, broken := s.judge(j, r.smsc)
	if diff := cmp.Diff(r.then(j), got); diff != "" {
		t.Errorf("fate (-want +got):\n%s", diff)
	}
	for _, b := range broken {
		t.Errorf("broken promise: %s", b)
	}
	if t.Failed() {
		t.Log(s.say(), w.Tail(20))
	}
}

// stage is what a worker plays on.
type stage struct {
	t       *testing.T
	smsc    *smsctest.SMSC
	addr    string
	apptest *apptest.Rig
	rig     *rig.Rig
	js      jetstream.JetStream
	keys    string
	between func() // is called when the worker is dead; may be nil
}

func newStage(t *testing.T, m manner) *stage {
	s := &stage{t: t, smsc: smsctest.New(m.config()), keys: "    parking_time: 1s\n"}
	t.Cleanup(func() { _ = s.smsc.Close() })
	addr, err := s.smsc.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = addr.String()
	s.apptest = apptest.Start(t, s.addr, "")
	if s.rig, err = rig.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.rig.Close(); err != nil {
			t.Error(err)
		}
	})
	if s.js, err = jetstream.New(s.apptest.Connect()); err != nil {
		t.Fatal(err)
	}
	attempts := 5
	if m == full {
		attempts = 1
	}
	s.keys += fmt.Sprintf("    retry: {initial: 200ms, max: 1s, max_attempts: %d}\n", attempts)
	s.hurry()
	return s
}

// hurry has the deliveries of a dead worker come back sooner.
func (s *stage) hurry() {
	for _, name := range []string{sms.Subjects{}.StreamJobs("acme"), sms.Subjects{}.StreamRetry()} {
		stream, err := s.js.Stream(s.t.Context(), name)
		if err != nil {
			s.t.Fatal(err)
		}
		for info := range stream.ListConsumers(s.t.Context()).Info() {
			c := info.Config
			c.AckWait = ackWait
			if _, err := stream.UpdateConsumer(s.t.Context(), c); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// bound tells whether the log of the worker, which its predecessor may have
// begun, says that it is bound and so hears signals.
func bound(id string, w *rig.Proc) func(context.Context) error {
	starts := 1
	if id == "w1" {
		starts = 2
	}
	return func(context.Context) error {
		out, err := w.Contents()
		if err == nil && bytes.Count(out, []byte("state=bound")) < starts {
			err = errors.New("not bound")
		}
		return err
	}
}

// start starts a worker process.
func (s *stage) start(id, env string) *rig.Proc {
	path := filepath.Join(s.rig.Dir(), id+".yaml")
	if err := os.WriteFile(path, []byte(s.config(id)), 0o600); err != nil {
		s.t.Fatal(err)
	}
	p, err := s.rig.Start(id, []string{"ACME_PASSWORD=secret", env}, worker, "run", "--config", path)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// config is what a worker reads.
func (s *stage) config(id string) string {
	return fmt.Sprintf(`
nats:   {url: %q}
redis:  {url: %q}
admin:  {listen: 127.0.0.1:0}
worker: {id: %s, drain_timeout: 8s}
routes:
  - name: acme
    endpoints: [%q]
    system_id: acme
    password_env: ACME_PASSWORD
    binds: 1
    window: 50
    source: {address: ACME}
%s`, s.apptest.NATS.ClientURL(), s.apptest.Redis.URL(), id, s.addr, s.keys)
}

// order is the job as producers write it. Each part begins with the job's id.
func (s *stage) order(j job, smsc manner) string {
	o := load.Single("crash", 1)
	if j.parts > 1 {
		o = load.Multipart("crash", 1, j.parts)
	}
	if j.atMostOnce {
		o.Delivery = "at_most_once"
	}
	if smsc == unasked {
		o.To = "nobody"
	}
	return string(o.AppendJSON(nil))
}

// finished answers nil when nothing is left to happen: the job has its
// outcome, what the SMSC took in its receipts, and no job waits anywhere.
func (s *stage) finished(ctx context.Context) error {
	outcomes, receipts := 0, map[string]bool{}
	for _, r := range s.apptest.Results() {
		if r.Kind == sms.KindReceipt {
			receipts[r.MessageID] = true
		} else {
			outcomes++
		}
	}
	st := s.smsc.Stats()
	if outcomes == 0 || len(receipts) < int(st.Accepted) || st.Receipts.Pending() > 0 {
		return fmt.Errorf("%d outcomes, %d receipts of %d messages, %d at the SMSC", outcomes, len(receipts), st.Accepted, st.Receipts.Pending())
	}
	for _, name := range []string{sms.Subjects{}.StreamJobs("acme"), sms.Subjects{}.StreamRetry()} {
		if n, err := load.Waiting(ctx, s.js, name); err != nil || n > 0 {
			return fmt.Errorf("%d in %s, %w", n, name, err)
		}
	}
	return nil
}

// judge says what became of the job and which promises were broken.
func (s *stage) judge(j job, smsc manner) (fate, []string) {
	id := load.Single("crash", 1).ID
	judging := judge.New([]judge.Job{{ID: id, Parts: j.parts, AtMostOnce: j.atMostOnce, Refused: smsc == picky || smsc == unasked}})
	f := fate{}
	for _, m := range s.smsc.Submits() {
		part, text := 1, m.Text()
		if udh, _ := m.UserData(); len(udh) == 6 {
			part = int(udh[5])
		}
		word, _, _ := strings.Cut(text, " ")
		judging.Submit(judge.Submit{Job: word, Part: part, MessageID: m.MessageID})
		if m.MessageID != "" {
			f.Accepted++
		}
	}
	if _, err := load.ReadResults(s.t.Context(), s.js, 1, judging.Result); err != nil {
		s.t.Fatal(err)
	}
	for _, r := range s.apptest.Results() {
		if r.Kind != sms.KindReceipt {
			f.Kind, f.Doubt = string(r.Kind), r.PossibleDuplicate
		}
	}
	var err error
	if f.Dead, err = load.Waiting(s.t.Context(), s.js, sms.Subjects{}.StreamDead()); err != nil {
		s.t.Fatal(err)
	}
	v := judging.Verdict()
	if v.Broken() > 0 && len(v.Examples) == 0 {
		return f, []string{fmt.Sprintf("%+v", v)}
	}
	return f, v.Examples
}

// say tells what both records hold.
func (s *stage) say() string {
	var b strings.Builder
	for _, m := range s.smsc.Submits() {
		fmt.Fprintf(&b, "  submit_sm at %s, bind %d, status %d, id %s, %s\n", m.Time.Format("05.000"), m.Bind, m.Status, m.MessageID, m.Answer)
	}
	for _, r := range s.apptest.Results() {
		fmt.Fprintf(&b, "  %s %s job %s attempt %d possible_duplicate %t: %s %s\n", r.Kind, r.ID, r.JobID, r.Attempt, r.PossibleDuplicate, r.Code, r.Reason)
	}
	return b.String()
}
