package smpp_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestBindRefusalsHaveTheirStatusWhateverTheirForm(t *testing.T) {
	t.Parallel()
	for name, quirks := range map[string]smsctest.Quirks{
		"no body":               {},
		"one NUL":               {BindErrorBody: []byte{0}},
		"a system_id":           {BindErrorBody: []byte("smsc\x00")},
		"a system_id and a TLV": {BindErrorBody: []byte("smsc\x00\x02\x10\x00\x01\x34")},
		"half a TLV":            {BindErrorBody: []byte("smsc\x00\x02\x10\x00")},
		"generic_nack":          {BindNack: true},
	} {
		for _, status := range []uint32{0x05, 0x0E, 0x1D, 0x401, 0xFFFFFFF0} {
			t.Run(name+" "+smsctest.StatusName(status), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					smsc := smsctest.New(smsctest.Config{Quirks: quirks, OnBind: func(*smsctest.BindRequest) uint32 { return status }})
					defer func() { _ = smsc.Close() }()
					_, err := bind(t, smsc, smpp.Config{})
					var e *sms.Error
					if !errors.As(err, &e) || e.Status != status {
						t.Errorf("got %v", err)
					}
				})
			})
		}
	}
}

func TestBindAcceptancesAreTakenWhateverTheirBody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body []byte
		want smpp.BindResult
	}{
		"none":                        {body: []byte{}, want: smpp.BindResult{}},
		"no sc_interface_version":     {body: []byte("smsc\x00"), want: smpp.BindResult{SystemID: "smsc"}},
		"a lower one":                 {body: []byte("smsc\x00\x02\x10\x00\x01\x33"), want: smpp.BindResult{SystemID: "smsc", InterfaceVersion: 0x33, TLVs: []sms.TLV{{Tag: 0x0210, Value: []byte{0x33}}}}},
		"its tag with octets swapped": {body: []byte("smsc\x00\x10\x02\x00\x01\x34"), want: smpp.BindResult{SystemID: "smsc", TLVs: []sms.TLV{{Tag: 0x1002, Value: []byte{0x34}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, smsctest.Config{Quirks: smsctest.Quirks{BindBody: c.body}}, smpp.Config{}, func(t *testing.T, e *esme) {
				if diff := cmp.Diff(c.want, e.Peer()); diff != "" {
					t.Errorf("peer (-want +got):\n%s", diff)
				}
				e.up(t)
			})
		})
	}
}

func TestTheBindRequestGoesOutAtOnceAndAsConfigured(t *testing.T) {
	long := strings.Repeat("s", 20) // beyond the specification's 15 and 8, and in use
	var got smsctest.BindRequest
	var after time.Duration
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		smsc := smsctest.New(smsctest.Config{OnBind: func(r *smsctest.BindRequest) uint32 {
			got, after = *r, time.Since(begin)
			return smsctest.RBINDFAIL
		}})
		defer func() { _ = smsc.Close() }()
		_, _ = bind(t, smsc, smpp.Config{SystemID: long, Password: long})
	})
	// Some SMSCs hang up when it takes long; 0x33 would cost TLVs at others.
	if got.SystemID != long || got.Password != long || got.InterfaceVersion != 0x34 || after != 0 {
		t.Errorf("after %s: %+v", after, got)
	}
}

func TestPDUsAheadOfTheBindResponseAreServed(t *testing.T) {
	var answered []uint32
	sim := smsctest.Config{
		Quirks: smsctest.Quirks{BindDelay: 10 * time.Second, BeforeBound: []smsctest.PDU{
			deliverSM(0, "early"),
			{CommandID: smsctest.EnquireLink, Sequence: 0x80000001},
			{CommandID: 0x0B, Sequence: 3, Body: []byte("smsc\x00secret\x00")}, // outbind
			{CommandID: 0x102, Sequence: 4},                                    // alert_notification
			{CommandID: 0x777, Sequence: 5},
			{CommandID: smsctest.SubmitSMResp, Sequence: 6},
		}},
		OnPDU: func(_ uint64, p smsctest.PDU) ([]byte, bool) {
			if p.CommandID&smsctest.GenericNack != 0 {
				answered = append(answered, p.CommandID, p.Sequence)
			}
			return nil, false
		},
	}
	got := make(messages, 8)
	bubble(t, sim, smpp.Config{Handler: smpp.Each(got.handle)}, func(t *testing.T, e *esme) {
		if in := <-got; string(in.Message.ShortMessage) != "early" {
			t.Errorf("got %+v", in)
		}
		e.up(t)
		want := []uint32{smsctest.EnquireLinkResp, 0x80000001, smsctest.GenericNack, 5, smsctest.DeliverSMResp, 0}
		if diff := cmp.Diff(want, answered); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
	})
}

func TestNoEnquireLinkBeforeTheBindResponse(t *testing.T) {
	sim := smsctest.Config{Quirks: smsctest.Quirks{BindDelay: 25 * time.Second}}
	bubble(t, sim, smpp.Config{EnquireLink: 6 * time.Second}, func(t *testing.T, e *esme) {
		synctest.Wait()
		if n := e.smsc.Stats().Enquiries; n != 0 {
			t.Errorf("%d enquire_link before the bind response", n)
		}
		time.Sleep(6 * time.Second)
		if n := e.smsc.Stats().Enquiries; n != 1 {
			t.Errorf("%d enquire_link after it, want 1", n)
		}
	})
}

func TestAnSMSCThatNeverAnswersTheBindIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		smsc := smsctest.New(smsctest.Config{OnBind: func(*smsctest.BindRequest) uint32 { return smsctest.NoAnswer }})
		defer func() { _ = smsc.Close() }()
		begin := time.Now()
		_, err := bind(t, smsc, smpp.Config{})
		if took := time.Since(begin); err == nil || took != 30*time.Second {
			t.Errorf("gave up after %s with %v", took, err)
		}
	})
}
