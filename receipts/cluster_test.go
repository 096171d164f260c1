package receipts

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

// A cluster of one node refuses commands across slots as a large one does.
func TestEveryStepStaysInASlotOfRedisCluster(t *testing.T) {
	t.Parallel()
	_, busPort, err := net.SplitHostPort(redistest.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	srv := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-port", busPort)
	if !srv.Real() {
		t.Skip("needs redis-server: miniredis is no cluster")
	}
	admin := client(t, srv.Addr)
	if err := admin.Do(t.Context(), "cluster", "addslotsrange", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	until(t, "the cluster is up", func() bool {
		info, err := admin.ClusterInfo(t.Context()).Result()
		return err == nil && strings.Contains(info, "cluster_state:ok")
	})
	rdb := must(Connect("redis+cluster://" + srv.Addr))(t)
	t.Cleanup(func() { _ = rdb.Close() })
	pub := new(results)
	cfg := Config{WorkerID: "pod-0"}
	quickParking(&cfg)
	d := must(New(cfg, Deps{Redis: rdb, Publisher: pub, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}))(t)

	deliver(t, d, deliverReceipt("A1", "DELIVRD"), statusOK)
	deliver(t, d, deliverReceipt("nobody", "DELIVRD"), statusOK)
	submit(t, d, jobRef("j1"), "A1", "A2")
	deliver(t, d, deliverReceipt("A2", "DELIVRD"), statusOK)
	c := claim(t, d, jobRef("j2"), sms.ClaimFresh)
	c = claim(t, d, jobRef("j2"), sms.ClaimInDoubt)
	if err := d.Ledger().Late(t.Context(), jobRef("j2"), accepted(1, 2, "B1")); err != nil {
		t.Fatal(err)
	}
	if err := d.Ledger().Release(t.Context(), jobRef("j2"), c.Token, nil); err != nil {
		t.Fatal(err)
	}
	if c = claim(t, d, jobRef("j2"), sms.ClaimResumed); len(c.Parts) != 1 {
		t.Errorf("resumed with parts %+v, want the late one", c.Parts)
	}
	sweepNow(t, d)
	if err := d.lease.end(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := pub.list()
	if len(all) != 3 || all[1].JobState != sms.StateDelivered || all[2].Producer != sms.UnmatchedProducer {
		t.Errorf("published %+v, want two matched and one unmatched", all)
	}
}
