package smpp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// maxEarly is how many messages an SMSC may send before its bind response
// without being told to keep them.
const maxEarly = 64

// Bind sends the bind request on conn at once and waits for its response, at
// most Config.BindTimeout. A refusal is an *sms.Error with the command_status,
// be it a bind response, with or without a body, or a generic_nack; every
// other failure is one too, with the cause. conn belongs to Bind from here
// on, and is closed when Bind fails. The session lives once Run is called.
func Bind(ctx context.Context, conn net.Conn, cfg Config) (*Session, error) {
	s, err := newSession(conn, cfg)
	if err == nil {
		err = s.bind(ctx)
	}
	if err != nil {
		_ = conn.Close()
		var e *sms.Error
		if !errors.As(err, &e) {
			err = &sms.Error{Op: cfg.BindType.String(), Code: sms.CodeUnavailable, Err: err}
		}
		return nil, err
	}
	return s, nil
}

func newSession(conn net.Conn, cfg Config) (*Session, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &clock{start: time.Now()}
	stamped := &stampedConn{Conn: conn, clock: c}
	return &Session{
		cfg:      cfg,
		log:      cfg.Logger,
		conn:     stamped,
		frames:   newFrameReader(stamped, cfg.FrameTimeout),
		clock:    c,
		win:      newWindow(cfg.Window, cfg.OnFree),
		closed:   make(chan struct{}),
		noSubmit: make(chan struct{}),
		wake:     make(chan struct{}, 1),
		arrived:  make(chan struct{}, 1),
		calls:    newCallTable(cfg.Window),
		crowding: crowding{size: cfg.Window, limit: cfg.Window},
		control:  make(map[uint32]control),
	}, nil
}

// bind runs the exchange. Nothing else uses the session yet, so it writes directly.
func (s *Session) bind(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.BindTimeout, fmt.Errorf("no answer within %s", s.cfg.BindTimeout))
	defer cancel()
	// The frame reader owns the read deadline, so time ends by closing.
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	defer stop()
	err := s.exchangeBind()
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil && !stop() {
		return context.Cause(ctx)
	}
	return err
}

func (s *Session) exchangeBind() error {
	request, err := appendBind(nil, s.nextSequenceLocked(), &s.cfg)
	if err != nil {
		return err
	}
	if err := s.writeUnbound(request); err != nil {
		return err
	}
	response := s.cfg.BindType.command() | responseBit
	for {
		f, err := s.frames.next()
		if r := s.cfg.Tracer.watched(); r != nil {
			r.received(s.cfg.Name, f, err)
		}
		if err != nil && s.conn.octets.Load() == 0 && !errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("connection ended before the response: %w: %w", ErrClosedUnanswered, err)
		}
		if err != nil {
			return fmt.Errorf("connection ended before the response: %w", err)
		}
		switch f.command {
		case response:
			if f.status != StatusOK {
				return s.refused(f.status, nil)
			}
			s.peer = decodeBindResp(f.body)
			return nil
		case cmdGenericNack:
			return s.refused(f.status, errors.New("answered by generic_nack"))
		case cmdUnbind:
			_ = s.writeUnbound(appendHeader(nil, cmdUnbindResp, StatusOK, f.sequence))
			return ErrPeerUnbind
		}
		if err := s.beforeBound(f); err != nil {
			return err
		}
	}
}

func (s *Session) refused(status uint32, cause error) error {
	return &sms.Error{Op: s.cfg.BindType.String(), Code: sms.CodeUnavailable, Status: status, Err: cause}
}

// beforeBound deals with what the SMSC sends ahead of its bind response:
// messages wait for Run, enquire_link is answered.
func (s *Session) beforeBound(f frame) error {
	var answer []byte
	switch f.command {
	case cmdDeliverSM, cmdDataSM:
		in, err := newInbound(f)
		switch {
		case err != nil:
			s.refuse(RefusedTruncated, f)
			answer = appendResponse(nil, f.command|responseBit, StatusInvCmdLen, f.sequence)
		case len(s.early) >= maxEarly:
			s.refuse(RefusedBusy, f)
			answer = appendResponse(nil, f.command|responseBit, StatusTemporary, f.sequence)
		default:
			s.early = append(s.early, in)
			return nil
		}
	case cmdEnquireLink:
		answer = appendHeader(nil, cmdEnquireLinkResp, StatusOK, f.sequence)
	case cmdOutbind, cmdAlertNotification:
		return nil
	default:
		if f.command&responseBit != 0 {
			s.refuse(RefusedResponse, f)
			return nil
		}
		s.refuse(RefusedCommand, f)
		answer = appendHeader(nil, cmdGenericNack, StatusInvCmdID, f.sequence)
	}
	return s.writeUnbound(answer)
}

// writeUnbound writes while there is no writer yet.
func (s *Session) writeUnbound(b []byte) error {
	if r := s.cfg.Tracer.watched(); r != nil {
		r.sent(s.cfg.Name, b)
	}
	if _, err := s.conn.Write(b); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}
