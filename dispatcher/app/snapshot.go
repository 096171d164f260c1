package app

import (
	"context"
	"fmt"
	"runtime/metrics"
	"strings"
	"sync"
	"time"

	"github.com/shortwire-sms/shortwire/binds"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/receipts"
)

// Status is what /status shows, at this moment.
func (a *App) Status() Status {
	s := Status{
		Worker:   a.cfg.Worker.ID,
		Version:  a.deps.Version,
		UptimeS:  time.Since(a.began).Seconds(),
		Draining: a.draining.Load(),
		NATS:     Health{Error: "not connected"},
		Redis:    Health{Error: "not connected"},
		Config:   a.force.read(),
		Notices:  a.force.config().Notices,
		MemoryMB: memoryMiB(),
	}
	p := a.up.Load()
	if p == nil {
		return s
	}
	s.NATS = Health{Error: p.nats.Trouble(), Waiting: p.nats.Publishing()}
	s.NATS.OK = s.NATS.Error == ""
	s.Redis = Health{OK: p.desk.Healthy(), Waiting: p.desk.Waiting()}
	if !s.Redis.OK {
		s.Redis.Error = "does not answer"
	}
	s.CPU = p.outlook.processors()
	if at := p.desk.LedgerLost(); !at.IsZero() {
		s.LedgerLost = &at
	}
	for _, r := range p.routes.all() {
		s.Routes = append(s.Routes, r.status(p))
	}
	for i := range s.Routes {
		r := &s.Routes[i]
		r.LimitWhy, r.LimitAdvice = explain(&s, r)
	}
	s.Errors, s.CodeMeanings = recentErrors(p.routes.all()), codeMeanings
	return s
}

// fullStatus is Status with what waits at the server.
func (a *App) fullStatus(ctx context.Context) Status {
	if p := a.up.Load(); p != nil {
		p.backlogs.look(ctx, p.nats, p.routes.all())
	}
	return a.Status()
}

func (r *route) status(p *parts) RouteStatus {
	d, cfg := r.dispatcher.Snapshot(), r.config()
	stats := p.desk.RouteStats(cfg.Name)
	s := RouteStatus{
		Name:        cfg.Name,
		Limit:       d.Limit,
		LimitedFor:  make(map[string]float64, len(d.Limited)),
		RateAllowed: cfg.Rate,
		Rate:        rateStatus(r.limit.Status()),
		Lanes:       make(map[sms.Lane]LaneStatus, len(d.Waiting)),
		Received:    d.Received,
		Overtaken:   d.Overtaken,
		Outcomes:    d.Outcomes,
		Codes:       d.Codes,
		Retries:     d.Retries,
		DeadLetters: d.DeadLetters,
		Diverted:    d.Diverted,
		Receipts:    receiptStatus(stats, p.desk.Matching(cfg.Name)),
		Inbound:     inboundStatus(stats),
		Traced:      r.tracer.Watched(),
		Pauses:      p.pauses.of(cfg.Name),
		Draining:    r.ending.Load(),
	}
	if d.Paused != nil {
		s.Paused = new(PauseStatus(*d.Paused))
	}
	if d.Diversion != nil {
		s.Diversion = new(DiversionStatus(*d.Diversion))
	}
	for limit, held := range d.Limited {
		s.LimitedFor[string(limit)] = held.Seconds()
	}
	backlog := p.backlogs.of(cfg.Name)
	for lane, n := range d.Waiting {
		l := LaneStatus{InFlight: d.InHand[lane], Waiting: n, Producers: d.Producers[lane]}
		if b, known := backlog[lane]; known {
			l.Backlog, l.Held = &b.Pending, &b.Held
		}
		s.Lanes[lane] = l
	}
	if sp := r.spreads.Load(); sp != nil {
		s.SubmitLatency, s.ReceiptDelay = sp.submit, sp.receipt
	}
	s.BindsWanted, s.Slots = r.pool.Wanted(), r.slotStatus()
	var submits uint64
	for _, b := range r.pool.Snapshot() {
		s.Binds = append(s.Binds, bindStatus(&b))
		submits += uint64(b.Stats.Submits)
	}
	s.RateUsed = r.used.rate(submits)
	return s
}

func receiptStatus(stats receipts.RouteStats, m receipts.Matching) ReceiptStatus {
	s := ReceiptStatus{Matched: stats.Matched, Parked: stats.Parked, Unmatched: stats.Unmatched, Hint: m.Hint}
	if rate, ok := m.Rate(); ok {
		s.MatchRate = &rate
	}
	return s
}

func bindStatus(b *binds.Status) BindStatus {
	s := BindStatus{
		Name: b.Bind, Type: strings.TrimPrefix(b.Type.String(), "bind_"), Endpoint: b.Endpoint, State: string(b.State), Since: b.Since,
		Entered: make(map[string]uint64, len(b.Entered)), Held: b.Held, SMSC: b.SMSC, InterfaceVersion: versionText(b.InterfaceVersion),
		Window: b.Window, InFlight: b.InFlight, LastError: b.LastErr, Hint: b.Hint,
	}
	if b.Congestion >= 0 {
		s.CongestionState = &b.Congestion
	}
	for state, n := range b.Entered {
		s.Entered[string(state)] = n
	}
	return s
}

// versionText is 0x34 as people write it, 3.4; empty for 0.
func versionText(v uint8) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d", v>>4, v&0xF)
}

// rateMeter turns a counter that somebody reads now and then into a rate.
type rateMeter struct {
	mu   sync.Mutex
	at   time.Time // guarded by mu
	n    uint64    // guarded by mu
	last float64   // guarded by mu
}

// rate is the rate since the last reading, or the last rate when that was
// less than half a second ago.
func (m *rateMeter) rate(n uint64) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if m.at.IsZero() || n < m.n { // what is no more counts no more
		m.at, m.n = now, n
		return m.last
	}
	if d := now.Sub(m.at); d >= 500*time.Millisecond {
		m.last = float64(n-m.n) / d.Seconds()
		m.at, m.n = now, n
	}
	return m.last
}

// memoryMiB is what the Go runtime has from the system.
func memoryMiB() float64 {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(sample)
	return float64(sample[0].Value.Uint64()-sample[1].Value.Uint64()) / (1 << 20)
}
