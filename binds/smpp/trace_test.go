package smpp

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// watch starts a recording of a minute.
func watch(t *testing.T, tr *Tracer, limit int) *Recording {
	t.Helper()
	r, ok := tr.Start(limit, time.Now().Add(time.Minute))
	if !ok {
		t.Fatal("there is another recording")
	}
	return r
}

// drain reads what a recording holds up to its end.
func drain(t *testing.T, r *Recording) (all []TracedPDU, dropped int) {
	t.Helper()
	for {
		p, n, err := r.Next(t.Context())
		dropped += n
		if errors.Is(err, io.EOF) {
			return all, dropped
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestATraceHasBothDirectionsFromTheBindOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr := &Tracer{}
		rec := watch(t, tr, 1000)
		r := startPipe(t, Config{Tracer: tr, Name: "acme/1"})
		done := make(chan *Call, 1)
		r.submit(t, sms.JobRef{}, done)
		r.peer.respond(r.peer.want(cmdSubmitSM), 0x58, "")
		<-done
		r.peer.sendBytes([]byte("\xF0\x00\x00\x11\x00\x00\x00\x15\x00\x00\x00\x00\x00\x00\x00\x01"))
		<-r.done
		rec.Stop()
		all, dropped := drain(t, rec)
		var got []string
		for _, p := range all {
			way := "< "
			if p.Sent {
				way = "> "
			}
			what := p.Fault
			if what == "" {
				d, err := Describe(p.Octets)
				if err != nil {
					t.Fatal(err)
				}
				what = d.Command
			}
			if p.Bind != "acme/1" || p.At.IsZero() {
				t.Errorf("of bind %q at %v", p.Bind, p.At)
			}
			got = append(got, way+what)
		}
		want := []string{"> bind_transceiver", "< bind_transceiver_resp", "> submit_sm", "< submit_sm_resp", "< command_length out of range: 4026531857"}
		if diff := cmp.Diff(want, got[:min(len(got), len(want))]); diff != "" || dropped != 0 {
			t.Errorf("%d dropped (-want +got):\n%s", dropped, diff)
		}
	})
}

func TestARecordingEndsByCountByTimeAndByStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pdu := appendHeader(nil, cmdEnquireLink, 0, 1)
		tr := &Tracer{}
		if tr.Watched() || tr.Stop() {
			t.Error("watched before anybody asked")
		}

		byCount := watch(t, tr, 2)
		if _, ok := tr.Start(1, time.Now().Add(time.Minute)); ok {
			t.Error("two recordings at a time")
		}
		byCount.sent("b", slices.Concat(pdu, pdu, pdu))
		if all, _ := drain(t, byCount); len(all) != 2 || tr.Watched() {
			t.Errorf("%d PDUs, watched: %t", len(all), tr.Watched())
		}

		began := time.Now()
		byTime := watch(t, tr, 2)
		if all, _ := drain(t, byTime); len(all) != 0 || tr.Watched() || time.Since(began) != time.Minute {
			t.Errorf("%d PDUs after %v, watched: %t", len(all), time.Since(began), tr.Watched())
		}

		unread := watch(t, tr, 2)
		time.Sleep(2 * time.Minute)
		unread.sent("b", pdu)
		if all, _ := drain(t, unread); len(all) != 0 || tr.Watched() {
			t.Errorf("%d PDUs after their time, watched: %t", len(all), tr.Watched())
		}

		stopped := watch(t, tr, 2)
		if !tr.Stop() || tr.Watched() {
			t.Error("still watched")
		}
		stopped.sent("b", pdu)
		if all, _ := drain(t, stopped); len(all) != 0 {
			t.Errorf("%d PDUs after the end", len(all))
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := watch(t, tr, 2).Next(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want that of ctx", err)
		}
	})
}

func TestAReaderThatIsBehindLosesTheOldestAndHearsOfIt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		octets, pdus, kept int
	}{
		"by count":  {headerOctets, maxHeldPDUs + 10, maxHeldPDUs},
		"by memory": {64 << 10, maxHeldOctets/(64<<10) + 3, maxHeldOctets / (64 << 10)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := &Tracer{}
			r := watch(t, tr, 1<<20)
			body := make([]byte, tc.octets-headerOctets)
			for i := range tc.pdus {
				r.received("b", frame{header: header{command: cmdDeliverSM, sequence: uint32(i)}, body: body}, nil)
			}
			p, dropped, err := r.Next(t.Context())
			if d, _ := Describe(p.Octets); err != nil || dropped != tc.pdus-tc.kept || int(d.Sequence) != dropped {
				t.Errorf("first is %d after %d dropped, error %v", d.Sequence, dropped, err)
			}
			r.Stop()
			if all, more := drain(t, r); len(all) != tc.kept-1 || more != 0 {
				t.Errorf("%d more and %d dropped", len(all), more)
			}
		})
	}
}

func BenchmarkTracerThatNobodyWatches(b *testing.B) {
	tr := &Tracer{}
	b.ReportAllocs()
	for b.Loop() {
		if tr.watched() != nil {
			b.Fatal("watched")
		}
	}
}
