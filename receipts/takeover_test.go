package receipts

import (
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestAMessageIDThatIsGivenOutAgain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		route Route
		stat  string // of the first job's receipt before the id is given out again
		want  string // whose receipts follow
		clash int64
	}{
		"is the first job's until its final receipt":          {Route{}, "ENROUTE", "first", 1},
		"is the new job's after it":                           {Route{}, "DELIVRD", "second", 0},
		"is the new job's after it, however short the memory": {Route{CorrelationTTL: 24 * time.Hour}, "DELIVRD", "second", 0},
		"is the first job's, however short the memory":        {Route{CorrelationTTL: 24 * time.Hour}, "ENROUTE", "first", 1},
		"is the first job's when nothing was said of it":      {Route{}, "", "first", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := start(t)
			d, pub := newDesk(t, srv.Addr, withRoute(tc.route))
			submit(t, d, jobRef("first"), "86")
			if tc.stat != "" {
				deliver(t, d, deliverReceipt("86", tc.stat), statusOK)
			}
			submit(t, d, jobRef("second"), "86")
			deliver(t, d, deliverReceipt("86", "EXPIRED"), statusOK)
			all := pub.list()
			if got := all[len(all)-1]; got.JobID != tc.want {
				t.Errorf("the receipt is the %s job's, want the %s", got.JobID, tc.want)
			}
			if got := d.RouteStats("acme").IDClashes; got != tc.clash {
				t.Errorf("%d clashes, want %d", got, tc.clash)
			}
			ttl := must(d.store.client.PTTL(t.Context(), d.keys.id("acme", "86")).Result())(t)
			if most := d.route("acme").CorrelationTTLFinal; ttl > most {
				t.Errorf("after a final receipt %v left, want at most %v", ttl, most)
			}
		})
	}
}

// An answer of Redis that was lost, so that the step runs twice.
func TestAnIDThatIsTakenOverTwiceIsStillTheNewJobs(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, _ := newDesk(t, srv.Addr, nil)
	submit(t, d, jobRef("first"), "86")
	deliver(t, d, deliverReceipt("86", "DELIVRD"), statusOK)
	ref := jobRef("second")
	id := d.newMessageID(&ref, accepted(1, 1, "86"), sms.Part{Number: 1, MessageID: "86"})
	before := must(d.store.client.Get(t.Context(), d.keys.id("acme", "86")).Result())(t)
	for range 2 {
		if !d.takeOver(t.Context(), &id, before) {
			t.Error("not taken over")
		}
	}
}
