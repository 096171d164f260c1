package binds

import (
	"context"
	"errors"
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
// enquire_link and unbinds; for a pair, a transmitter and then a receiver, whose
// times are added up. Messages that the SMSC offers meanwhile are left with it.
// The result holds what came to light, also with an error.
func Probe(ctx context.Context, cfg Config) (ProbeResult, error) {
	p, err := New(cfg, Deps{})
	if err != nil {
		return ProbeResult{}, err
	}
	res := ProbeResult{Endpoint: p.config().Endpoints[0]}
	for _, b := range p.members().units[0].binds {
		if err = p.probe(ctx, b.kind, &res); err != nil {
			break
		}
	}
	var e *sms.Error
	if errors.As(err, &e) && e.Status != 0 {
		res.Status, res.StatusName = e.Status, e.StatusName
	}
	res.Hint = hint(err)
	return res, err
}

func (p *Pool) probe(ctx context.Context, kind smpp.BindType, res *ProbeResult) error {
	start := time.Now()
	conn, err := p.dial(ctx, p.config(), res.Endpoint)
	if err != nil {
		return err
	}
	res.Connect += time.Since(start)
	start = time.Now()
	s, err := smpp.Bind(ctx, conn, p.config().session(kind))
	if err != nil {
		return bindError(err)
	}
	res.Bind += time.Since(start)
	res.SystemID, res.InterfaceVersion, res.StatusName = s.Peer().SystemID, s.Peer().InterfaceVersion, Name(0)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	answered, err := s.Ping(ctx)
	res.EnquireLink += answered
	if e := s.Unbind(ctx); err == nil {
		err = e
	}
	if e := <-ended; err == nil {
		err = e
	}
	return err
}
