package app

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/shortwire-sms/shortwire/dispatcher"
)

// instruments are read from Status when somebody asks: counting costs the hot
// path nothing beyond its own atomic counters.
type instruments struct {
	rates                                                                           rateInstruments
	outcomes, codes, overtaken, retries, dead, diverted, receipts, inbound          metric.Int64ObservableCounter
	entered                                                                         metric.Int64ObservableCounter
	limitedFor                                                                      metric.Float64ObservableCounter
	matchRate                                                                       metric.Float64ObservableGauge
	limit, diversion, waiting, producers, bound, slots, slotLimit, inFlight, window metric.Int64ObservableGauge
}

// instrument registers all that a worker exports.
func instrument(m metric.Meter, status func() Status, ready func() error) error {
	return errors.Join(observe(m, status), observeChanges(m, status), observeSpreads(m, status), observeWorker(m, status, ready))
}

// maker makes instruments. Its err is of the first that could not be made.
type maker struct {
	meter metric.Meter
	err   error
}

func (m *maker) counter(name, text string) metric.Int64ObservableCounter {
	c, err := m.meter.Int64ObservableCounter(name, metric.WithDescription(text))
	return made(m, c, err)
}

func (m *maker) gauge(name, text string, options ...metric.Int64ObservableGaugeOption) metric.Int64ObservableGauge {
	g, err := m.meter.Int64ObservableGauge(name, append(options, metric.WithDescription(text))...)
	return made(m, g, err)
}

func (m *maker) number(name, text string, options ...metric.Float64ObservableGaugeOption) metric.Float64ObservableGauge {
	g, err := m.meter.Float64ObservableGauge(name, append(options, metric.WithDescription(text))...)
	return made(m, g, err)
}

func made[T any](m *maker, instrument T, err error) T {
	if m.err == nil && err != nil {
		m.err = fmt.Errorf("instruments: %w", err)
	}
	return instrument
}

func observe(meter metric.Meter, status func() Status) error {
	m := maker{meter: meter}
	ins := instruments{
		rates:     newRateInstruments(&m),
		outcomes:  m.counter("shortwire.outcomes", "results published, by kind"),
		codes:     m.counter("shortwire.faults", "outcomes with a code, by code"),
		overtaken: m.counter("shortwire.overtaken", "jobs that went before another producer's many"),
		retries:   m.counter("shortwire.retries", "attempts scheduled"),
		dead:      m.counter("shortwire.dead_letters", "jobs buried"),
		diverted:  m.counter("shortwire.diverted", "jobs submitted by another route"),
		receipts:  m.counter("shortwire.receipts", "delivery receipts, by what became of them"),
		inbound:   m.counter("shortwire.inbound", "messages from handsets, by what became of them"),
		entered:   m.counter("shortwire.binds.transitions", "states that binds have entered, by state"),
		limit:     m.gauge("shortwire.route.limit", "1 for what limits the route now, by limit"),
		diversion: m.gauge("shortwire.route.diversion", "1 while jobs go by another route, by which"),
		waiting:   m.gauge("shortwire.waiting", "jobs in hand waiting for their turn, by lane"),
		producers: m.gauge("shortwire.waiting.producers", "producers of these jobs, by lane"),
		bound:     m.gauge("shortwire.binds.bound", "sessions that are bound; a pair has two"),
		slots:     m.gauge("shortwire.binds.slots", "binds that this worker may have under max_binds; a pair is one"),
		slotLimit: m.gauge("shortwire.binds.slots.limit", "binds that the fleet may have: max_binds, or less while the SMSC allows fewer"),
		inFlight:  m.gauge("shortwire.binds.in_flight", "submit_sm without an answer"),
		window:    m.gauge("shortwire.binds.window", "window slots of the binds that are bound"),
		matchRate: m.number("shortwire.receipts.match_rate", "share of receipts published with their job in the last minutes, 0..1; absent when there was none"),
	}
	limitedFor, err := meter.Float64ObservableCounter("shortwire.route.limited", metric.WithUnit("s"), metric.WithDescription("how long each limit held"))
	if ins.limitedFor = made(&m, limitedFor, err); m.err != nil {
		return m.err
	}
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := status()
		for i := range s.Routes {
			ins.read(o, &s.Routes[i])
		}
		return nil
	}, ins.entered, ins.outcomes, ins.codes, ins.overtaken, ins.retries, ins.dead, ins.diverted, ins.diversion, ins.receipts, ins.inbound, ins.rates.rate, ins.rates.tokens, ins.rates.calls, ins.matchRate, ins.limitedFor, ins.limit, ins.waiting, ins.producers, ins.bound, ins.slots, ins.slotLimit, ins.inFlight, ins.window)
	return err
}

func (ins *instruments) read(o metric.Observer, r *RouteStatus) {
	route := attribute.String("route", r.Name)
	with := func(key, value string) metric.MeasurementOption {
		return metric.WithAttributes(route, attribute.String(key, value))
	}
	for kind, n := range r.Outcomes {
		o.ObserveInt64(ins.outcomes, n, with("kind", string(kind)))
	}
	for code, n := range r.Codes {
		o.ObserveInt64(ins.codes, n, with("code", string(code)))
	}
	o.ObserveInt64(ins.overtaken, r.Overtaken, metric.WithAttributes(route))
	o.ObserveInt64(ins.retries, r.Retries, metric.WithAttributes(route))
	o.ObserveInt64(ins.dead, r.DeadLetters, metric.WithAttributes(route))
	o.ObserveInt64(ins.diverted, r.Diverted, metric.WithAttributes(route))
	if r.Diversion != nil {
		o.ObserveInt64(ins.diversion, 1, with("via", r.Diversion.Via))
	}
	for _, l := range dispatcher.Limits() {
		var now int64
		if r.Limit == l {
			now = 1
		}
		o.ObserveInt64(ins.limit, now, with("limit", string(l)))
		o.ObserveFloat64(ins.limitedFor, r.LimitedFor[string(l)], with("limit", string(l)))
	}
	ins.rates.read(o, route, &r.Rate)
	for lane, l := range r.Lanes {
		o.ObserveInt64(ins.waiting, int64(l.Waiting), with("lane", string(lane)))
		o.ObserveInt64(ins.producers, int64(l.Producers), with("lane", string(lane)))
	}
	o.ObserveInt64(ins.receipts, r.Receipts.Matched, with("end", "matched"))
	o.ObserveInt64(ins.receipts, r.Receipts.Parked, with("end", "parked"))
	o.ObserveInt64(ins.receipts, r.Receipts.Unmatched, with("end", "unmatched"))
	o.ObserveInt64(ins.inbound, r.Inbound.Published-r.Inbound.Incomplete, with("end", "whole"))
	o.ObserveInt64(ins.inbound, r.Inbound.Incomplete, with("end", "incomplete"))
	o.ObserveInt64(ins.inbound, r.Inbound.Repeats, with("end", "repeat"))
	if r.Receipts.MatchRate != nil {
		o.ObserveFloat64(ins.matchRate, *r.Receipts.MatchRate, metric.WithAttributes(route))
	}
	var bound, inFlight, window int64
	entered := make(map[string]int64)
	for _, b := range r.Binds {
		for state, n := range b.Entered {
			entered[state] += int64(n)
		}
		if b.State == "bound" {
			bound, window = bound+1, window+int64(b.Window)
		}
		inFlight += int64(b.InFlight)
	}
	for state, n := range entered {
		o.ObserveInt64(ins.entered, n, with("state", state))
	}
	o.ObserveInt64(ins.bound, bound, metric.WithAttributes(route))
	if r.Slots != nil {
		o.ObserveInt64(ins.slots, int64(r.Slots.Held), metric.WithAttributes(route))
		o.ObserveInt64(ins.slotLimit, int64(r.Slots.Limit), metric.WithAttributes(route))
	}
	o.ObserveInt64(ins.inFlight, inFlight, metric.WithAttributes(route))
	o.ObserveInt64(ins.window, window, metric.WithAttributes(route))
}
