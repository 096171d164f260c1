package app

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/shortwire-sms/shortwire/ratelimit"
)

// RateStatus is the limit of a route over the fleet, and this worker's part in it.
type RateStatus struct {
	Effective float64 `json:"effective"`       // submit_sm per second of the fleet now, 0 = unlimited; while Redis is away of this worker, 0 = none
	Reason    string  `json:"reason"`          // configured, unlimited, throttled, congestion or redis_away
	Workers   int     `json:"workers"`         // that want more than they get
	Calls     int64   `json:"calls"`           // of Redis for leases
	Leased    int64   `json:"leased"`          // tokens
	Spent     int64   `json:"spent"`           // of these
	Lost      int64   `json:"lost"`            // of these, not spent in time
	Error     string  `json:"error,omitempty"` // of the last call
}

func rateStatus(f ratelimit.FleetStatus) RateStatus {
	s := RateStatus{
		Effective: f.Effective, Reason: f.Reason, Workers: f.Workers,
		Calls: f.Calls, Leased: f.Granted, Spent: f.Spent, Lost: f.Lost,
	}
	if f.Fault != nil {
		s.Error = f.Fault.Error()
	}
	return s
}

// rateInstruments show RateStatus.
type rateInstruments struct {
	rate          metric.Float64ObservableGauge
	tokens, calls metric.Int64ObservableCounter
}

func newRateInstruments(m *maker) rateInstruments {
	return rateInstruments{
		rate:   m.number("shortwire.route.rate", "submit_sm per second that the fleet may send now; absent when unlimited"),
		tokens: m.counter("shortwire.route.lease.tokens", "tokens leased from the fleet's limit, by what became of them"),
		calls:  m.counter("shortwire.route.lease.calls", "calls of Redis for leases"),
	}
}

func (ins *rateInstruments) read(o metric.Observer, route attribute.KeyValue, r *RateStatus) {
	if r.Effective > 0 || r.Reason == "redis_away" {
		o.ObserveFloat64(ins.rate, r.Effective, metric.WithAttributes(route))
	}
	o.ObserveInt64(ins.tokens, r.Spent, metric.WithAttributes(route, attribute.String("end", "spent")))
	o.ObserveInt64(ins.tokens, r.Lost, metric.WithAttributes(route, attribute.String("end", "lost")))
	o.ObserveInt64(ins.calls, r.Calls, metric.WithAttributes(route))
}
