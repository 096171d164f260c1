package peers

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/load"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

const jobs = 200

// stage is what a peer runs on: a NATS server with the jobs in it, Redis and the simulator.
type stage struct {
	rig   *rig.Rig
	js    jetstream.JetStream
	smsc  *smsctest.SMSC
	where Where
}

func newStage(t *testing.T, via smsctest.Via) *stage {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skipf("skip: needs redis-server: %v", err)
	}
	r, err := rig.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	redis, err := r.StartRedis(t.Context(), program, rig.InMemory)
	if err != nil {
		t.Fatal(err)
	}
	ns, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not get ready")
	}
	smsc := smsctest.New(smsctest.Config{SystemID: load.SystemID, Password: load.Password, Receipts: smsctest.ReceiptConfig{Via: via}})
	t.Cleanup(func() { _ = smsc.Close() })
	addr, err := smsc.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{rig: r, smsc: smsc, where: Where{
		NATS: ns.ClientURL(), Redis: redis.Addr, SMSC: addr.String(),
		SystemID: load.SystemID, Password: load.Password, Binds: 2, Window: 10,
	}}
	s.publish(t)
	return s
}

// publish creates the two streams and publishes the jobs.
func (s *stage) publish(t *testing.T) {
	t.Helper()
	nc, js, err := load.Connect(s.where.NATS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	s.js = js
	for _, c := range []jetstream.StreamConfig{
		{Name: load.Jobs, Subjects: []string{"sms.jobs.bench.*.*"}, Retention: jetstream.WorkQueuePolicy},
		{Name: load.Results, Subjects: []string{"sms.results.>"}, Duplicates: time.Minute},
	} {
		if _, err := js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	all := func(yield func(load.Job) bool) {
		for i := range jobs {
			if !yield(load.Single("p", i)) {
				return
			}
		}
	}
	if err := load.Publish(t.Context(), js, all, 0, func(int) {}); err != nil {
		t.Fatal(err)
	}
}

// await waits until every job is acked and has its outcome and its receipt in
// the results stream: Kannel answers a receipt before it passes it on.
func (s *stage) await(t *testing.T, procs []*rig.Proc) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := rig.Await(ctx, "all results", func(ctx context.Context) error {
		for _, p := range procs {
			select {
			case <-p.Done():
				t.Fatalf("%s ended\n%s", p.Name(), p.Tail(20))
			default:
			}
		}
		waiting, err := load.Waiting(ctx, s.js, load.Jobs)
		if err != nil {
			return err
		}
		counts, err := load.Count(ctx, s.js)
		if err == nil && (waiting > 0 || counts.Outcomes < jobs || counts.Receipts < jobs || s.smsc.Stats().Receipts.Acked < jobs) {
			err = fmt.Errorf("%d jobs wait, %d outcomes, %d receipts", waiting, counts.Outcomes, counts.Receipts)
		}
		return err
	})
	if err != nil {
		for _, p := range procs {
			t.Log(p.Tail(20))
		}
		t.Fatalf("%v; the simulator counts %+v", err, s.smsc.Stats())
	}
}

// verdict holds the results stream against the simulator's record.
func (s *stage) verdict(t *testing.T) *judge.Verdict {
	t.Helper()
	var known []judge.Job
	for i := range jobs {
		known = append(known, judge.Job{ID: load.Single("p", i).ID, Parts: 1})
	}
	j := judge.New(known)
	for _, m := range s.smsc.Submits() {
		id, _, _ := strings.Cut(m.Text(), " ")
		j.Submit(judge.Submit{Job: id, Part: 1, MessageID: m.MessageID})
	}
	if _, err := load.ReadResults(t.Context(), s.js, 1, j.Result); err != nil {
		t.Fatal(err)
	}
	return j.Verdict()
}

// via is the bind that receipts come over. Kannel drops those that overtake
// their submit_sm_resp on another bind.
var via = map[string]smsctest.Via{"node": smsctest.ViaAny, "kannel": smsctest.ViaSubmitter}

func TestPeersDoTheWholeJobOnce(t *testing.T) {
	t.Parallel()
	for _, peer := range All {
		t.Run(peer.Name, func(t *testing.T) {
			t.Parallel()
			if err := peer.Needs(t.Context()); err != nil {
				t.Skipf("skip: needs %v", err)
			}
			s := newStage(t, via[peer.Name])
			procs, err := peer.Start(t.Context(), s.rig, s.where)
			if err != nil {
				t.Fatal(err)
			}
			s.await(t, procs)
			for _, p := range procs {
				code, err := p.Terminate(t.Context())
				if err != nil || code != 0 {
					t.Errorf("%s ended with code %d, %v, want 0\n%s", p.Name(), code, err, p.Tail(20))
				}
			}
			v := s.verdict(t)
			if v.Broken() > 0 || v.Submits != jobs || v.Outcomes["submitted"] != jobs || v.Receipts != jobs || v.Repeats > 0 {
				t.Errorf("%d broken promises, %d submits, outcomes %v, %d receipts, %d repeats: %v",
					v.Broken(), v.Submits, v.Outcomes, v.Receipts, v.Repeats, v.Examples)
			}
			if faulty := s.smsc.Stats().Faulty; faulty > 0 {
				t.Errorf("the simulator objects to %d submits", faulty)
			}
		})
	}
}
