package binds

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// hint says what to do about an error that ended an attempt to bind, a probe
// or a session; empty when that is not known.
func hint(err error) string {
	var e *sms.Error
	var dns *net.DNSError
	var handshake *tlsError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, errHeld):
		return statusHint(statusAlreadyBnd)
	case errors.Is(err, errGivesWay):
		return "Other workers hold the account's binds; this one takes over when one is free. See max_binds."
	case errors.Is(err, errLapsed):
		return "Binds under max_binds need Redis: see that it answers this worker."
	case errors.As(err, &e) && e.Status != 0:
		return statusHint(e.Status)
	case errors.As(err, &dns):
		return "The host name is not known: check endpoints."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "Nothing listens there: check host and port in endpoints."
	case remoteAlert(err):
		return "The SMSC ended TLS: it may want a client certificate (tls.cert_file, tls.key_file), trust another one, or speak another version (tls.min_version)."
	case errors.As(err, &handshake):
		return tlsHint(handshake)
	case errors.Is(err, smpp.ErrClosedUnanswered):
		return "The SMSC closed without an answer: often this machine's address is not on its allow-list, or the port expects TLS."
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "The SMSC closed the connection: ask the provider why, or see its maintenance notices."
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &e) && e.Code == sms.CodeUnavailable:
		return "No answer: check the port, firewalls, and that this machine's address is on the SMSC's allow-list."
	}
	return ""
}

// tlsHint says what to do about a handshake that failed.
func tlsHint(e *tlsError) string {
	var name x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(e.err, &name):
		return fmt.Sprintf("The SMSC's certificate is not for %s: set tls.server_name to a name that it carries, or connect to that name.", e.name)
	case errors.As(e.err, &invalid) && invalid.Reason == x509.Expired:
		c := invalid.Cert
		if time.Now().Before(c.NotBefore) {
			return fmt.Sprintf("The SMSC's certificate is valid from %s only: check this machine's clock, else ask the provider.", c.NotBefore.UTC().Format(time.RFC3339))
		}
		return fmt.Sprintf("The SMSC's certificate expired at %s: the provider must renew it; check this machine's clock too.", c.NotAfter.UTC().Format(time.RFC3339))
	case errors.As(e.err, &unknown):
		return "The SMSC's certificate is of an authority that this machine does not know: set tls.ca_file to the provider's CA certificate."
	case errors.As(e.err, &invalid):
		return "The SMSC's certificate cannot be used: the provider must issue another."
	case errors.As(e.err, &record):
		return "The port does not speak TLS: set tls.enabled to false, or use the SMSC's TLS port."
	case errors.Is(e.err, io.EOF), errors.Is(e.err, syscall.ECONNRESET), errors.Is(e.err, context.DeadlineExceeded):
		return "The SMSC did not take part in TLS: check that the port is its TLS port, and that this machine's address is on its allow-list."
	}
	return "TLS failed: ask the provider for its versions and ciphers; see tls.min_version."
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
