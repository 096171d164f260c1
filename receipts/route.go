package receipts

import "sync/atomic"

// route is a Route while the Desk works with it.
type route struct {
	Route
	counters *routeCounters // stay when the Route is replaced

	// TTLs in ms, as arguments of commands.
	ledgerTTL, correlationTTL, finalTTL any
}

type routeCounters struct {
	receipts, matched, parked, unmatched, inbound, publishErrors, refused, clashes, incomplete, repeats atomic.Int64

	seen     atomic.Uint32 // notation, of the rule auto
	matching matching
	delays   delays
}

func newRoute(r Route, counters *routeCounters) *route {
	return &route{
		Route: r, counters: counters,
		ledgerTTL:      r.LedgerTTL.Milliseconds(),
		correlationTTL: r.CorrelationTTL.Milliseconds(),
		finalTTL:       r.CorrelationTTLFinal.Milliseconds(),
	}
}

// route finds a route; one that is not known yet has every default.
func (d *Desk) route(name string) *route {
	if r, ok := (*d.routes.Load())[name]; ok {
		return r
	}
	d.routesMu.Lock()
	defer d.routesMu.Unlock()
	known := *d.routes.Load()
	if r, ok := known[name]; ok {
		return r
	}
	all := make(map[string]*route, len(known)+1)
	for n, r := range known {
		all[n] = r
	}
	r := newRoute(Route{}.withDefaults(), new(routeCounters))
	all[name] = r
	d.routes.Store(&all)
	return r
}

// replaceRoutes takes routes for what is known; those that are not among them
// go back to the defaults. Counts go on.
func (d *Desk) replaceRoutes(routes map[string]Route) {
	d.routesMu.Lock()
	defer d.routesMu.Unlock()
	all := make(map[string]*route, len(routes))
	for name, r := range routes {
		all[name] = newRoute(r, new(routeCounters))
	}
	for name, old := range *d.routes.Load() {
		r, ok := routes[name]
		if !ok {
			r = Route{}.withDefaults()
		}
		all[name] = newRoute(r, old.counters)
	}
	d.routes.Store(&all)
}
