package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/shortwire-sms/shortwire/dispatcher/internal/admin"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// PausesStatus is what came of a pause or its end, as POST /pause and POST
// /resume answer.
type PausesStatus struct {
	Route  string          `json:"route"`
	Ended  []OperatorPause `json:"ended,omitempty"` // by this request
	Paused []OperatorPause `json:"paused"`          // what is paused of the route now
}

// errStarting is why a worker can do nothing for operators yet.
var errStarting = errors.New("this worker is not connected to Redis yet")

// pause pauses a route, or one lane of it, in all workers.
func (a *App) pause(ctx context.Context, req admin.PauseRequest) (any, error) {
	p, lane, err := a.pausing(req.Lane)
	if err != nil {
		return nil, err
	}
	what := OperatorPause{Route: req.Route, Lane: lane, By: by(req), Reason: req.Reason}
	set, err := a.pauses(p).Pause(ctx, what, req.For)
	if err != nil {
		return nil, told(err)
	}
	a.log.Info("pause asked for", "route", set.Route, "lane", set.lane(), "by", set.By, "from", req.From)
	return a.pausesNow(ctx, p, PausesStatus{Route: req.Route}), nil
}

// resume ends the pause of a lane, or all of a route.
func (a *App) resume(ctx context.Context, req admin.PauseRequest) (any, error) {
	p, lane, err := a.pausing(req.Lane)
	if err != nil {
		return nil, err
	}
	ended, _, err := a.pauses(p).Resume(ctx, req.Route, lane)
	if err != nil {
		return nil, told(err)
	}
	a.log.Info("end of a pause asked for", "route", req.Route, "lane", req.Lane, "by", by(req), "from", req.From)
	return a.pausesNow(ctx, p, PausesStatus{Route: req.Route, Ended: ended}), nil
}

// pausing is what pause and resume need.
func (a *App) pausing(word string) (*parts, sms.Lane, error) {
	p, lane := a.up.Load(), sms.Lane(word)
	switch {
	case p == nil:
		return nil, "", errStarting
	case word != "" && !lane.Valid():
		return nil, "", fmt.Errorf("%w: lane must be one of %v, is %q", admin.ErrBadRequest, sms.Lanes(), word)
	}
	return p, lane, nil
}

func (a *App) pauses(p *parts) *Pauses {
	return &Pauses{cfg: a.force.config(), store: p.pauses.store, close: func() error { return nil }}
}

// pausesNow has this worker obey at once; the others do within a second.
func (a *App) pausesNow(ctx context.Context, p *parts, s PausesStatus) PausesStatus {
	if err := p.pauses.look(ctx); err != nil {
		a.log.Debug("pauses are not known anew", "err", err)
	}
	p.pauses.tell(p.routes.all())
	s.Paused = p.pauses.of(s.Route)
	return s
}

// by names who asks, by their own account, or else where from.
func by(req admin.PauseRequest) string {
	if req.By != "" {
		return req.By
	}
	return req.From
}

// told makes an error of ours one that the admin server knows.
func told(err error) error {
	var unknown *UnknownRouteError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%w: %w", admin.ErrNoRoute, err)
	}
	return err
}
