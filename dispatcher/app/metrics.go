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

func observe(meter metric.Meter, status func() Status) error {
	var ins instruments
	var failed error
	counter := func(name, text string) metric.Int64ObservableCounter {
		c, err := meter.Int64ObservableCounter(name, metric.WithDescription(text))
		failed = first(failed, err)
		return c
	}
	gauge := func(name, text string) metric.Int64ObservableGauge {
		g, err := meter.Int64ObservableGauge(name, metric.WithDescription(text))
		failed = first(failed, err)
		return g
	}
	ins.outcomes = counter("shortwire.outcomes", "results published, by kind")
	ins.codes = counter("shortwire.faults", "outcomes with a code, by code")
	ins.overtaken = counter("shortwire.overtaken", "jobs that went before another producer's many")
	ins.retries = counter("shortwire.retries", "attempts scheduled")
	ins.dead = counter("shortwire.dead_letters", "jobs buried")
	ins.diverted = counter("shortwire.diverted", "jobs submitted by another route")
	ins.receipts = counter("shortwire.receipts", "delivery receipts, by what became of them")
	ins.inbound = counter("shortwire.inbound", "messages from handsets, by what became of them")
	ins.entered = counter("shortwire.binds.transitions", "states that binds have entered, by state")
	ins.limit = gauge("shortwire.route.limit", "1 for what limits the route now, by limit")
	ins.diversion = gauge("shortwire.route.diversion", "1 while jobs go by another route, by which")
	ins.waiting = gauge("shortwire.waiting", "jobs in hand waiting for their turn, by lane")
	ins.producers = gauge("shortwire.waiting.producers", "producers of these jobs, by lane")
	ins.bound = gauge("shortwire.binds.bound", "sessions that are bound; a pair has two")
	ins.slots = gauge("shortwire.binds.slots", "binds that this worker may have under max_binds; a pair is one")
	ins.slotLimit = gauge("shortwire.binds.slots.limit", "binds that the fleet may have: max_binds, or less while the SMSC allows fewer")
	ins.inFlight = gauge("shortwire.binds.in_flight", "submit_sm without an answer")
	ins.window = gauge("shortwire.binds.window", "window slots of the binds that are bound")
	var err error
	ins.limitedFor, err = meter.Float64ObservableCounter("shortwire.route.limited", metric.WithUnit("s"),
		metric.WithDescription("how long each limit held"))
	failed = first(failed, err)
	ins.matchRate, err = meter.Float64ObservableGauge("shortwire.receipts.match_rate",
		metric.WithDescription("share of receipts published with their job in the last minutes, 0..1; absent when there was none"))
	failed = first(failed, err)
	ins.rates, err = newRateInstruments(meter)
	if failed = first(failed, err); failed != nil {
		return fmt.Errorf("instruments: %w", failed)
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

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
