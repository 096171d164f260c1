//go:build interop

package interop_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds"
	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
	"github.com/shortwire-sms/shortwire/receipts"
)

// poolRig is a pool that runs against a node SMSC, and what came in.
type poolRig struct {
	*binds.Pool
	freed chan struct{} // capacity 1; the pool's Notify writes, reserve reads
	drain func()

	mu       sync.Mutex
	refused  bool              // guarded by mu; the first receipt was refused once
	receipts map[string]int    // guarded by mu; acknowledged, by message id
	parsed   []receipts.Parsed // guarded by mu; the same
	mos      []*sms.Message    // guarded by mu
}

func startPool(t *testing.T, s *nodeSMSC, change func(*binds.Config)) *poolRig {
	t.Helper()
	r := &poolRig{freed: make(chan struct{}, 1), receipts: map[string]int{}}
	cfg := binds.Config{
		Route: "acme", Endpoints: []string{s.addr}, SystemID: "acme", Password: "secret",
		Window: 50, EnquireLink: 200 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	pool, err := binds.New(cfg, binds.Deps{Deliver: func(_ context.Context, _ string, burst []*smpp.Inbound) {
		for _, in := range burst {
			in.Answer(r.deliver(in))
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	r.Pool = pool
	pool.Notify(func() {
		select {
		case r.freed <- struct{}{}:
		default:
		}
	})
	intake, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- pool.Run(intake, context.Background()) }()
	r.drain = sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	t.Cleanup(r.drain)
	return r
}

// deliver refuses the first receipt once, and takes everything else.
func (r *poolRig) deliver(in *smpp.Inbound) uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !receipts.IsReceipt(&in.Message) {
		r.mos = append(r.mos, &in.Message)
		return smsctest.ROK
	}
	if !r.refused {
		r.refused = true
		return smsctest.RXTAPPN
	}
	p := receipts.Parse(&in.Message)
	r.parsed = append(r.parsed, p)
	if p.TLVID != "" {
		r.receipts[p.TLVID]++
	} else {
		r.receipts[p.TextID]++
	}
	return smsctest.ROK
}

func (r *poolRig) reserve(t *testing.T, n int) *binds.Reservation {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		res, short := r.TryReserve(n)
		if res != nil {
			return res
		}
		select {
		case <-r.freed:
		case <-deadline:
			t.Fatalf("nothing to reserve: %v, %+v", short, r.Snapshot())
		}
	}
}

// send submits a text in as many parts as it takes, and returns the replies.
func (r *poolRig) send(t *testing.T, to, body string, enc sms.Encoding, ref uint16) <-chan []sms.Reply {
	t.Helper()
	coded, err := text.Encode(body, text.Options{Encoding: enc, Ref: ref})
	if err != nil {
		t.Fatal(err)
	}
	msgs := make([]*sms.Message, len(coded.Segments))
	for i, seg := range coded.Segments {
		m := &sms.Message{
			Source: sms.Address{TON: 5, Addr: "ACME"}, Destination: sms.Address{TON: 1, NPI: 1, Addr: to},
			RegisteredDelivery: 1, DataCoding: coded.DataCoding, ShortMessage: seg.UserData(),
			Part: i + 1, PartsTotal: len(coded.Segments),
		}
		if seg.UDH != nil {
			m.ESMClass = sms.ESMClassUDHI
		}
		msgs[i] = m
	}
	return r.submit(t, msgs)
}

// submit submits the parts of one message over one bind, and returns the replies.
func (r *poolRig) submit(t *testing.T, msgs []*sms.Message) <-chan []sms.Reply {
	t.Helper()
	res := r.reserve(t, len(msgs))
	out := make(chan []sms.Reply, 1)
	go func() {
		res.Send(t.Context(), sms.JobRef{JobID: "job", Route: "acme"}, msgs)
		var replies []sms.Reply
		for reply, ok := res.Next(t.Context()); ok; reply, ok = res.Next(t.Context()) {
			replies = append(replies, reply)
		}
		out <- replies
	}()
	return out
}

// mixed is the nth text of the test and the alphabet it asks for.
func mixed(n int) (string, sms.Encoding) {
	switch n % 8 {
	case 0:
		return fmt.Sprintf("plain text number %d, with @ and _ and $", n), sms.EncodingAuto
	case 1:
		return fmt.Sprintf("Grüße £5 à vous, ΔΘΞ %d", n), sms.EncodingAuto
	case 2:
		return fmt.Sprintf("[%d] {costs} 12 € | ~^\\", n), sms.EncodingAuto
	case 3:
		return fmt.Sprintf("Latin-1: déjà vu, ÿ, %d", n), sms.EncodingLatin1
	case 4:
		return fmt.Sprintf("Ваш код %d 🔐", n), sms.EncodingAuto
	case 5:
		return fmt.Sprintf("%d ", n) + strings.Repeat("extension € on every border ", 12) + "end", sms.EncodingAuto
	case 6:
		return fmt.Sprintf("%d ", n) + strings.Repeat("длинный текст 😀 ", 9) + "конец", sms.EncodingAuto
	default:
		return fmt.Sprintf("你好 %d", n), sms.EncodingUCS2
	}
}

func TestPoolSubmitsAndGetsEveryReceipt(t *testing.T) {
	t.Parallel()
	const submits = 2000
	s := startNode(t)
	r := startPool(t, s, func(c *binds.Config) { c.Binds = 2 })
	var want []string
	var replies []<-chan []sms.Reply
	parts := 0
	for n := 0; parts < submits; n++ {
		body, enc := mixed(n)
		coded, err := text.Encode(body, text.Options{Encoding: enc})
		if err != nil {
			t.Fatal(err)
		}
		parts += len(coded.Segments)
		want = append(want, body)
		// Few enough are under way at a time for a reference of 8 bits.
		replies = append(replies, r.send(t, fmt.Sprintf("447700900%03d", n%400), body, enc, uint16(n)))
	}
	ids := map[string]bool{}
	for i, ch := range replies {
		for _, reply := range <-ch {
			if reply.Err != nil || reply.RawMessageID == "" {
				t.Fatalf("%q: %+v", want[i], reply)
			}
			ids[reply.RawMessageID] = true
		}
	}
	if len(ids) != parts {
		t.Fatalf("%d ids for %d parts", len(ids), parts)
	}
	s.await(t, "deliver_resp", parts+1) // one was refused and came again
	r.drain()

	var got []string
	for _, m := range s.lines(t, "message") {
		got = append(got, m.Text)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("texts as node-smpp joined and decoded them:\n%s", diff)
	}
	for id := range ids {
		if r.receipts[id] != 1 {
			t.Errorf("message %s has %d receipts", id, r.receipts[id])
		}
	}
	if len(r.receipts) != len(ids) {
		t.Errorf("receipts for %d messages, want %d", len(r.receipts), len(ids))
	}
	if n := len(s.lines(t, "unbind")); n != 2 {
		t.Errorf("%d binds said unbind, want 2", n)
	}
	s.audit(t)
}

func TestPoolTellsRefusalsApart(t *testing.T) {
	t.Parallel()
	r := startPool(t, startNode(t), nil)
	for to, want := range map[string]sms.Code{"447700900404": sms.CodeRejected, "447700900458": sms.CodeThrottled} {
		replies := <-r.send(t, to, "x", sms.EncodingAuto, 0)
		var e *sms.Error
		if len(replies) != 1 || !errors.As(replies[0].Err, &e) || e.Code != want {
			t.Errorf("%s: %+v, want %s", to, replies, want)
		}
	}
}

func TestPoolKeepsAliveWithEnquireLink(t *testing.T) {
	t.Parallel()
	s := startNode(t, "--enquire-link", "50")
	r := startPool(t, s, func(c *binds.Config) { c.EnquireLink = 20 * time.Millisecond })
	s.await(t, "enquire_link", 3)
	if r.Bound() != 1 || len(s.lines(t, "bind")) != 1 {
		t.Errorf("bound %d after %d binds", r.Bound(), len(s.lines(t, "bind")))
	}
	r.drain()
	s.audit(t)
}

func TestPoolDoesNotInsistOnAWrongPassword(t *testing.T) {
	t.Parallel()
	s := startNode(t)
	r := startPool(t, s, func(c *binds.Config) { c.Password = "wrong" })
	s.await(t, "close", 1)
	var st binds.Status
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for st.State != binds.StateRefused {
		select {
		case <-tick.C:
			st = r.Snapshot()[0]
		case <-deadline:
			t.Fatalf("state %+v", st)
		}
	}
	if !strings.Contains(st.LastErr, "ESME_RINVPASWD") {
		t.Errorf("last error %q", st.LastErr)
	}
	if n := len(s.lines(t, "bind")); n != 1 {
		t.Errorf("%d binds with a wrong password", n)
	}
}
