package receipts

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestACorrelationIsKeptAsReadableText(t *testing.T) {
	t.Parallel()
	c := correlation{JobRef: jobRef("9f86d081-2a"), Part: 1, Total: 3, ID: "Msg 1"}
	c.Attempt, c.Doubt = 2, true
	if diff := cmp.Diff(`1 4:shop 11:9f86d081-2a 4:acme 5:Msg 1 2 1 1 3 {"order":7}`, c.encode()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

func TestTheCorrelationOfATracedJobHasItsTrace(t *testing.T) {
	t.Parallel()
	c := correlation{JobRef: jobRef("9f86d081-2a"), Part: 1, Total: 3, ID: "Msg 1"}
	trace, _ := sms.ParseTrace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a=1")
	c.Trace = &trace
	want := `3 4:shop 11:9f86d081-2a 4:acme 5:Msg 1 0: 55:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 3:a=1 1 0 1 3 {"order":7}`
	if diff := cmp.Diff(want, c.encode()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	if _, err := decodeCorrelation(strings.Replace(want, "-01 ", "-0x ", 1)); err == nil {
		t.Error("a malformed traceparent is accepted")
	}
}

func TestACorrelationComesBackAsItWas(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	text := func() string {
		b := make([]byte, r.IntN(12))
		for i := range b {
			if b[i] = " :1\x00\xffé\n{"[r.IntN(9)]; r.IntN(2) == 0 {
				b[i] = byte(r.Uint32())
			}
		}
		return string(b)
	}
	for range 20_000 {
		want := &correlation{
			JobRef: sms.JobRef{Producer: text(), JobID: text(), Route: text(), Attempt: r.IntN(1 << 20), Doubt: r.IntN(2) == 0},
			Part:   r.IntN(256), Total: r.IntN(256), ID: text(),
		}
		if r.IntN(2) == 0 {
			want.Via = text()
		}
		if trace, ok := sms.ParseTrace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", text()); ok && r.IntN(2) == 0 {
			want.Trace = &trace
		}
		if meta := text(); meta != "" {
			want.Meta = []byte(meta)
		}
		got, err := decodeCorrelation(want.encode())
		if err != nil {
			t.Fatalf("seed %d: %q: %v", seed, want.encode(), err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}

func (c *correlation) encode() string { return string(c.append(nil)) }

func decodeCorrelation(s string) (*correlation, error) {
	c := new(correlation)
	return c, c.decode(s)
}

func FuzzDecodeCorrelation(f *testing.F) {
	whole := (&correlation{JobRef: jobRef("j1"), Part: 1, Total: 1, ID: "7"}).encode()
	for n := range len(whole) {
		f.Add(whole[:n])
	}
	via := (&correlation{JobRef: viaRef("j1"), Part: 1, Total: 1, ID: "7"}).encode()
	for _, s := range []string{whole, via, "2 " + whole[2:], `{"p":"shop"}`,
		"3 4:shop 2:j1 4:acme 1:7 0: 55:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 0: 1 0 1 1 ", "1 -1: ", "1 99999999999999999999:x ", "1 9223372036854775807:x "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := decodeCorrelation(s)
		if err != nil {
			return
		}
		again, err := decodeCorrelation(c.encode())
		if err != nil {
			t.Fatalf("%q was read and cannot be read again: %v", s, err)
		}
		if diff := cmp.Diff(c, again); diff != "" {
			t.Errorf("%q changes (-first +second):\n%s", s, diff)
		}
	})
}

// A fleet in the middle of an upgrade: the job was sent by the next version.
func TestAReceiptWhoseJobThisVersionCannotReadWaitsForOneThatCan(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		value  string
		parked int64
	}{
		"of a later version":                 {"4 something new", 1},
		"of this version, but not as we are": {"1 something else", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := start(t)
			d, pub := newDesk(t, srv.Addr, quickParking)
			key := d.keys.id("acme", "a1")
			if err := d.store.client.Set(t.Context(), key, tc.value, time.Minute).Err(); err != nil {
				t.Fatal(err)
			}
			deliver(t, d, deliverReceipt("A1", "DELIVRD"), statusOK)
			if n := parkedCount(t, d); n != tc.parked {
				t.Fatalf("%d parked, want %d", n, tc.parked)
			}
			sweepNow(t, d)
			if got := only(t, pub); got.Producer != sms.UnmatchedProducer || got.MessageID != "A1" {
				t.Errorf("published %+v, want A1 as unmatched", got)
			}
		})
	}
}
