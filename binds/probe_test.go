package binds

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestProbeReportsWhatTheSMSCSaid(t *testing.T) {
	t.Parallel()
	smsc := smsctest.New(smsctest.Config{SystemID: "acme", Password: "secret"})
	t.Cleanup(func() { _ = smsc.Close() })
	listening, err := smsc.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listening.String()
	res, err := Probe(t.Context(), Config{Route: "acme", Endpoints: []string{addr}, SystemID: "acme", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	if res.Endpoint != addr || res.SystemID == "" || res.InterfaceVersion != 0x34 || res.StatusName != "ESME_ROK" || res.EnquireLink <= 0 || res.Hint != "" {
		t.Errorf("got %+v", res)
	}
	if st := smsc.Stats(); st.Enquiries != 1 || st.Unbinds != 1 {
		t.Errorf("%d enquire_link, %d unbind", st.Enquiries, st.Unbinds)
	}
	res, err = Probe(t.Context(), Config{Route: "acme", Endpoints: []string{addr}, SystemID: "acme", Password: "wrong"})
	var e *sms.Error
	if !errors.As(err, &e) || e.Code != sms.CodeAccount || res.Status != 0x0E || res.StatusName != "ESME_RINVPASWD" || !strings.Contains(res.Hint, "password") {
		t.Errorf("got %v, %+v", err, res)
	}
}

func TestProbeSaysWhatToDo(t *testing.T) {
	t.Parallel()
	smsc := smsctest.New(smsctest.Config{OnBind: func(r *smsctest.BindRequest) uint32 {
		switch r.SystemID {
		case "silent":
			return smsctest.NoAnswer
		case "closed":
			return smsctest.CloseConnection
		case "twice":
			return smsctest.RALYNBD
		}
		return smsctest.RINVSYSID
	}})
	t.Cleanup(func() { _ = smsc.Close() })
	listening, err := smsc.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listening.String()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().String()
	_ = free.Close()
	for name, c := range map[string]struct {
		cfg  Config
		hint string
	}{
		"nobody listens":    {Config{Endpoints: []string{nobody}, SystemID: "a"}, "Nothing listens there"},
		"silent":            {Config{Endpoints: []string{addr}, SystemID: "silent", BindTimeout: 50 * time.Millisecond}, "No answer"},
		"closed":            {Config{Endpoints: []string{addr}, SystemID: "closed"}, "allow-list"},
		"unknown system_id": {Config{Endpoints: []string{addr}, SystemID: "nobody"}, "system_id"},
		"bound elsewhere":   {Config{Endpoints: []string{addr}, SystemID: "twice"}, "another worker"},
		"TLS to a plain port": {Config{Endpoints: []string{addr}, SystemID: "a", TLS: &tls.Config{MinVersion: tls.VersionTLS12},
			DialTimeout: time.Second}, "S"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res, err := Probe(t.Context(), c.cfg)
			if err == nil || !strings.Contains(res.Hint, c.hint) {
				t.Errorf("error %v, hint %q", err, res.Hint)
			}
		})
	}
	if res, err := Probe(context.Background(), Config{}); err == nil || res.Endpoint != "" {
		t.Errorf("empty configuration: %v, %+v", err, res)
	}
}
