package app

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/binds"
	"github.com/shortwire-sms/shortwire/ratelimit"
)

// slotPort is a route's leases on max_binds as its binds see them.
type slotPort struct{ *ratelimit.Slots }

// newSlots shares the route's max_binds with other workers; nil without a quota.
func (c *RouteConfig) newSlots(client redis.UniversalClient, worker string) *slotPort {
	if c.MaxBinds == 0 {
		return nil
	}
	return &slotPort{ratelimit.NewSlots(ratelimit.SlotsConfig{Route: c.Name, Worker: worker, Quota: c.MaxBinds}, client)}
}

// port is what the binds get: nothing without a quota.
func (s *slotPort) port() binds.Slots {
	if s == nil {
		return nil
	}
	return s
}

// change puts another max_binds in force. From or to none the route begins anew.
func (s *slotPort) change(quota int) {
	if s != nil && quota > 0 {
		s.SetQuota(quota)
	}
}

// Renew implements binds.Slots.
func (s *slotPort) Renew(ctx context.Context, use binds.SlotUse) (binds.SlotGrant, error) {
	grant, err := s.Slots.Renew(ctx, ratelimit.SlotUse(use))
	return binds.SlotGrant(grant), err
}

// SlotStatus is a worker's part of the binds that the account may have over
// the fleet.
type SlotStatus struct {
	Held    int     `json:"held"`               // of this worker; a pair is one
	Wanted  int     `json:"wanted"`             // of this worker, if there were enough
	Limit   int     `json:"limit"`              // over the fleet: max_binds, or less while the SMSC allows fewer
	Granted int     `json:"granted"`            // over the fleet
	Workers int     `json:"workers"`            // that have a part in it, or want one
	Frozen  float64 `json:"frozen_s,omitempty"` // seconds until something new is granted at the latest: Redis may have lost what was
	Error   string  `json:"error,omitempty"`    // why the last renewal failed
}

func (r *route) slotStatus() *SlotStatus {
	s := r.pool.Slots()
	if s == nil {
		return nil
	}
	return &SlotStatus{
		Held: s.Held, Wanted: s.Wanted, Limit: s.Limit, Granted: s.Granted, Workers: s.Workers,
		Frozen: s.Frozen.Seconds(), Error: s.Err,
	}
}
