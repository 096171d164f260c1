package floor

import (
	"bufio"
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/load"
	"github.com/shortwire-sms/shortwire/bench/internal/rig"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

// startPeers starts a NATS server with the two streams, Redis and the simulator.
func startPeers(t *testing.T, n int) (jetstream.JetStream, Config, *smsctest.SMSC) {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skipf("needs redis-server: %v", err)
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
	smsc := smsctest.New(smsctest.Config{SystemID: load.SystemID, Password: load.Password, Receipts: smsctest.ReceiptConfig{Via: smsctest.ViaAny}})
	t.Cleanup(func() { _ = smsc.Close() })
	addr, err := smsc.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nc, js, err := load.Connect(ns.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	for _, c := range []jetstream.StreamConfig{
		{Name: load.Jobs, Subjects: []string{"sms.jobs.bench.*.*"}, Retention: jetstream.WorkQueuePolicy},
		{Name: load.Results, Subjects: []string{"sms.results.>"}, Duplicates: time.Minute},
	} {
		if _, err := js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	jobs := func(yield func(load.Job) bool) {
		for i := range n {
			if !yield(load.Single("f", i)) {
				return
			}
		}
	}
	if err := load.Publish(t.Context(), js, jobs, 0, func(int) {}); err != nil {
		t.Fatal(err)
	}
	return js, Config{NATS: ns.ClientURL(), Redis: redis.Addr, SMSC: addr.String(), Binds: 2, Window: 10}, smsc
}

func TestFloorDoesTheWholeJobOnce(t *testing.T) {
	t.Parallel()
	const n = 500
	js, cfg, smsc := startPeers(t, n)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, cfg) }()

	wait, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	err := rig.Await(wait, "all receipts answered and all jobs acked", func(ctx context.Context) error {
		select {
		case err := <-ended:
			t.Fatalf("the floor ended: %v", err)
		default:
		}
		waiting, err := load.Waiting(ctx, js, load.Jobs)
		if err == nil && (waiting > 0 || smsc.Stats().Receipts.Acked < n) {
			err = errors.New("not yet")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	counts, err := load.Count(t.Context(), js)
	if err != nil || counts.Outcomes != n || counts.Receipts != n {
		t.Errorf("%d outcomes and %d receipts, %v, want %d of each", counts.Outcomes, counts.Receipts, err, n)
	}
	var jobs []judge.Job
	for i := range n {
		jobs = append(jobs, judge.Job{ID: load.Single("f", i).ID, Parts: 1})
	}
	j := judge.New(jobs)
	for _, m := range smsc.Submits() {
		id, _, _ := strings.Cut(m.Text(), " ")
		j.Submit(judge.Submit{Job: id, Part: 1, MessageID: m.MessageID})
	}
	if _, err := load.ReadResults(t.Context(), js, 1, j.Result); err != nil {
		t.Fatal(err)
	}
	if v := j.Verdict(); v.Broken() > 0 || v.Submits != n || v.Outcomes["submitted"] != n {
		t.Errorf("%d broken promises, %d submits, outcomes %v: %v", v.Broken(), v.Submits, v.Outcomes, v.Examples)
	}
	if faulty := smsc.Stats().Faulty; faulty > 0 {
		t.Errorf("the simulator objects to %d submits", faulty)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the floor ended with %v, want %v", err, context.Canceled)
	}
}

func TestRepliesOfRedisAreReadByTheirKind(t *testing.T) {
	t.Parallel()
	rd := bufio.NewReader(strings.NewReader("+OK\r\n$-1\r\n$5\r\na\r\nbc\r\n:1\r\n$0\r\n\r\n-ERR no\r\n"))
	var got []string
	for {
		b, err := readReply(rd)
		if err != nil {
			got = append(got, err.Error())
			break
		}
		if b == nil {
			got = append(got, "nil")
			continue
		}
		got = append(got, string(b))
	}
	if d := cmp.Diff([]string{"OK", "nil", "a\r\nbc", "1", "", "redis: ERR no"}, got); d != "" {
		t.Errorf("replies (-want +got):\n%s", d)
	}
}

func TestTruncatedReceiptIsRefused(t *testing.T) {
	t.Parallel()
	whole := "\x00\x01\x01447700900001\x00\x05\x00Bench\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x0bid:7 stat:X"
	if raw, err := shortMessage([]byte(whole)); err != nil || raw != "id:7 stat:X" {
		t.Errorf("%q, %v", raw, err)
	}
	for n := range len(whole) {
		if _, err := shortMessage([]byte(whole[:n])); err == nil {
			t.Errorf("the first %d octets were accepted", n)
		}
	}
}
