package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/dispatcher/internal/admin"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// traceEnd is the last line of a trace.
type traceEnd struct {
	End     bool `json:"trace_ended"`
	PDUs    int  `json:"pdus"`    // printed
	Dropped int  `json:"dropped"` // came while the reader was behind
}

// trace begins a trace of a route.
func (a *App) trace(req admin.TraceRequest) (admin.TraceLines, error) {
	r := a.route(req.Route)
	if r == nil {
		return nil, admin.ErrNoRoute
	}
	rec, ok := r.tracer.Start(req.Max, time.Now().Add(req.For))
	if !ok {
		return nil, admin.ErrTraced
	}
	log := a.log.With("route", req.Route, "by", req.By, "from", req.From)
	level := slog.LevelInfo
	if req.Unmasked {
		level = slog.LevelWarn
	}
	log.Log(context.Background(), level, "trace started", "for", req.For, "max", req.Max, "unmasked", req.Unmasked)
	return &traceLines{log: log, route: req.Route, rec: rec, decoder: NewDecoder(r.config()), unmasked: req.Unmasked, masker: a.force.config().masker()}, nil
}

// endTrace ends the trace of a route and reports whether there was one.
func (a *App) endTrace(route string) bool {
	r := a.route(route)
	return r != nil && r.tracer.Stop()
}

// route returns a route that runs, nil when there is none of the name.
func (a *App) route(name string) *route {
	if p := a.up.Load(); p != nil {
		for _, r := range p.routes.all() {
			if r.config().Name == name {
				return r
			}
		}
	}
	return nil
}

// traceLines prints what a recording has.
type traceLines struct {
	log      *slog.Logger
	route    string
	rec      *smpp.Recording
	decoder  *Decoder
	unmasked bool
	masker   sms.Masker
	pdus     int
	dropped  int
	ended    bool // the last line was given
}

// Next implements admin.TraceLines.
func (t *traceLines) Next(ctx context.Context) ([]byte, error) {
	if t.ended {
		return nil, io.EOF
	}
	p, dropped, err := t.rec.Next(ctx)
	t.dropped += dropped
	if errors.Is(err, io.EOF) {
		t.ended = true
		return json.Marshal(traceEnd{End: true, PDUs: t.pdus, Dropped: t.dropped})
	}
	if err != nil {
		return nil, err
	}
	t.pdus++
	line := t.decode(p)
	line.Dropped = dropped
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err = e.Encode(line)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// Stop implements admin.TraceLines.
func (t *traceLines) Stop() {
	t.rec.Stop()
	t.log.Info("trace ended", "pdus", t.pdus, "dropped", t.dropped)
}

// decode makes a line of a PDU.
func (t *traceLines) decode(traced smpp.TracedPDU) *DecodedPDU {
	p := &DecodedPDU{Error: traced.Fault}
	if traced.Fault == "" {
		desc, err := smpp.Describe(traced.Octets)
		secret := hideSecrets(&desc)
		if !t.unmasked {
			mask(&desc, t.masker)
		}
		t.decoder.fill(p, &desc, 0)
		p.fail(err, 0)
		if !t.unmasked {
			maskDecoded(p)
		} else if !secret {
			p.Hex = hex.EncodeToString(traced.Octets)
		}
	}
	at := traced.At.UTC()
	p.Time, p.Direction, p.Route, p.Bind, p.Masked = &at, "received", t.route, traced.Bind, !t.unmasked
	if traced.Sent {
		p.Direction = "sent"
	}
	return p
}

// TraceOptions are what Trace asks a worker for.
type TraceOptions struct {
	Route    string
	For      time.Duration // 1s..1h
	Max      int           // PDUs, 1..100000
	Unmasked bool          // numbers, text and octets as they are; the worker logs it
	By       string        // who asks, for the worker's log
}

// Trace asks a worker for a route's PDUs and calls line for
// each, until the trace or ctx ends. The error is a *DependencyError when
// nothing answers there.
func Trace(ctx context.Context, at AdminAt, o TraceOptions, line func([]byte) error) error {
	query := url.Values{"for": {o.For.String()}, "max": {strconv.Itoa(o.Max)}, "unmasked": {strconv.FormatBool(o.Unmasked)}, "by": {o.By}}
	resp, err := at.ask(ctx, http.MethodPost, query, "trace", o.Route)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		return fmt.Errorf("trace of %s: %s (%s)", o.Route, bytes.TrimSpace(why), resp.Status)
	}
	lines := bufio.NewReader(resp.Body)
	for {
		b, err := lines.ReadBytes('\n')
		if len(b) > 0 && err == nil {
			err = line(b)
		}
		switch {
		case errors.Is(err, io.EOF) || ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("trace of %s: %w", o.Route, err)
		}
	}
}
