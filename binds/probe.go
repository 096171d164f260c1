package binds

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// ProbeResult is what an SMSC said to one bind.
type ProbeResult struct {
	Endpoint         string
	Connect          time.Duration // TCP and TLS
	Bind             time.Duration // bind request to its response
	EnquireLink      time.Duration // enquire_link to its response
	SystemID         string        // the SMSC's
	InterfaceVersion uint8         // sc_interface_version, 0 when the SMSC did not say
	Status           uint32        // command_status of the bind response
	StatusName       string        // its name, empty when there was no response
	Hint             string        // what to do about the error, empty without one
}

// Probe makes one bind to the first endpoint of cfg, exchanges an
// enquire_link and unbinds. Messages that the SMSC offers meanwhile are left
// with it. The result holds what came to light, also with an error.
func Probe(ctx context.Context, cfg Config) (ProbeResult, error) {
	p, err := New(cfg, Deps{})
	if err != nil {
		return ProbeResult{}, err
	}
	res := ProbeResult{Endpoint: p.cfg.Endpoints[0]}
	err = p.probe(ctx, &res)
	var e *sms.Error
	if errors.As(err, &e) && e.Status != 0 {
		res.Status, res.StatusName = e.Status, e.StatusName
	}
	res.Hint = hint(err)
	return res, err
}

func (p *Pool) probe(ctx context.Context, res *ProbeResult) error {
	start := time.Now()
	conn, err := p.dial(ctx, res.Endpoint)
	if err != nil {
		return err
	}
	res.Connect = time.Since(start)
	start = time.Now()
	s, err := smpp.Bind(ctx, conn, p.cfg.session())
	if err != nil {
		return bindError(err)
	}
	res.Bind = time.Since(start)
	res.SystemID, res.InterfaceVersion, res.StatusName = s.Peer().SystemID, s.Peer().InterfaceVersion, Name(0)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	res.EnquireLink, err = s.Ping(ctx)
	if e := s.Unbind(ctx); err == nil {
		err = e
	}
	if e := <-ended; err == nil {
		err = e
	}
	return err
}

// hint says what to do about an error of Probe.
func hint(err error) string {
	var e *sms.Error
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e) && e.Status != 0:
		return statusHint(e.Status)
	case errors.As(err, &dns):
		return "The host name is not known: check endpoints."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "Nothing listens there: check host and port in endpoints."
	case errors.As(err, &cert):
		return "The SMSC's certificate is not trusted: set tls.ca_file to its CA, or tls.server_name to the name it carries."
	case errors.As(err, &record):
		return "The port does not speak TLS: set tls.enabled to false, or use the SMSC's TLS port."
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "The SMSC closed without an answer: often this machine's address is not on its allow-list, or the port expects TLS."
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &e) && e.Code == sms.CodeUnavailable:
		return "No answer: check the port, firewalls, and that this machine's address is on the SMSC's allow-list."
	}
	return ""
}

// statusHint says what to do about the status of a refused bind.
func statusHint(code uint32) string {
	switch code {
	case statusInvPassword:
		return "Wrong password: check password_env or password_file, and that it has no line end."
	case statusInvSystemID:
		return "Unknown system_id: check its spelling and case, and that the endpoint is the account's."
	case statusInvSysType:
		return "The SMSC wants another system_type: ask the provider, it is often empty."
	case statusAlreadyBnd:
		return "The account has all the binds it may have: another worker holds them, or an old session has not timed out yet."
	case statusBindFail, statusInvCmdID:
		return "Bind refused: check credentials, bind_type and interface_version, and that the account is active on this endpoint."
	}
	switch classifyBind(code) {
	case refusedCredential:
		return "The account may not bind: ask the provider, with the status."
	default:
		return "The SMSC cannot take a bind now: try again later."
	}
}
