package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
	"unicode"
)

// Bounds and defaults of a trace.
const (
	defaultTraceFor = time.Minute
	maxTraceFor     = time.Hour
	defaultTraceMax = 1000
	maxTraceMax     = 100_000
	traceWrite      = 10 * time.Second // for one line to somebody who does not read
	maxName         = 64               // characters
)

// Errors of Deps.Trace.
var (
	ErrNoRoute = errors.New("no such route")
	ErrTraced  = errors.New("the route is being traced already; DELETE ends that")
)

// TraceRequest says what to trace.
type TraceRequest struct {
	Route    string
	For      time.Duration // 1s..1h
	Max      int           // PDUs, 1..100000
	Unmasked bool          // numbers, text and octets as they are; never passwords
	By       string        // who asks, by their own account
	From     string        // address that asks
}

// TraceLines is a trace that is going on.
type TraceLines interface {
	// Next returns the next line. io.EOF ends the trace.
	Next(ctx context.Context) ([]byte, error)
	// Stop switches the trace off.
	Stop()
}

// trace streams a trace until it ends or who asked for it leaves:
//
//	POST /trace/{route}?for=1m&max=1000&unmasked=true&by=name
func (s *Server) trace(w http.ResponseWriter, r *http.Request) {
	req, err := traceRequest(r)
	if err != nil {
		text(w, http.StatusBadRequest, err.Error())
		return
	}
	lines, err := s.deps.Trace(req)
	switch {
	case errors.Is(err, ErrNoRoute):
		text(w, http.StatusNotFound, err.Error())
		return
	case errors.Is(err, ErrTraced):
		text(w, http.StatusConflict, err.Error())
		return
	case err != nil:
		text(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	defer lines.Stop()
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // that of the request would end the stream
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	send := func(line []byte) error {
		if err := c.SetWriteDeadline(time.Now().Add(traceWrite)); err != nil {
			return err
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
		return c.Flush()
	}
	if send(nil) != nil {
		return
	}
	for {
		line, err := lines.Next(r.Context())
		if err != nil && !errors.Is(err, io.EOF) {
			return // the server ends, or nobody reads any more
		}
		if err != nil || send(append(line, '\n')) != nil {
			return
		}
	}
}

// endTrace answers DELETE /trace/{route}.
func (s *Server) endTrace(w http.ResponseWriter, r *http.Request) {
	if !s.deps.EndTrace(r.PathValue("route")) {
		text(w, http.StatusNotFound, "no such route is being traced")
		return
	}
	text(w, http.StatusOK, "ended")
}

func traceRequest(r *http.Request) (TraceRequest, error) {
	req := TraceRequest{Route: r.PathValue("route"), For: defaultTraceFor, Max: defaultTraceMax, By: name(r.FormValue("by")), From: r.RemoteAddr}
	var err error
	if v := r.FormValue("for"); v != "" {
		if req.For, err = time.ParseDuration(v); err != nil || req.For < time.Second || req.For > maxTraceFor {
			return req, fmt.Errorf("for: must be a duration of 1s..%s", maxTraceFor)
		}
	}
	if v := r.FormValue("max"); v != "" {
		if req.Max, err = strconv.Atoi(v); err != nil || req.Max < 1 || req.Max > maxTraceMax {
			return req, fmt.Errorf("max: must be 1..%d", maxTraceMax)
		}
	}
	if v := r.FormValue("unmasked"); v != "" {
		if req.Unmasked, err = strconv.ParseBool(v); err != nil {
			return req, errors.New("unmasked: must be true or false")
		}
	}
	return req, nil
}

// name is fit for a log line.
func name(s string) string { return printable(s, maxName) }

// printable is what can be printed of s, up to so many characters.
func printable(s string, most int) string {
	var out []rune
	for _, c := range s {
		if unicode.IsPrint(c) && len(out) < most {
			out = append(out, c)
		}
	}
	return string(out)
}
