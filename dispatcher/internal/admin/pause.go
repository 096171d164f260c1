package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"
)

// maxReason is how long the reason of a pause may be, in characters: it stands
// in a line of status.
const maxReason = 200

// maxForm bounds the body of a request.
const maxForm = 16 << 10

// ErrBadRequest is a request that is wrong in itself.
var ErrBadRequest = errors.New("bad request")

// PauseRequest says what to pause or resume.
type PauseRequest struct {
	Route  string
	Lane   string        // empty: all lanes
	For    time.Duration // of a pause; 0: until it is resumed
	Reason string        // of a pause; may be empty
	By     string        // who asks, by their own account; may be empty
	From   string        // address that asks
}

// pauses answers POST /pause and POST /resume, with a form or a query:
//
//	POST /pause?route=acme&lane=bulk&for=2h&reason=...&by=name
//	POST /resume?route=acme&lane=bulk&by=name
func (s *Server) pauses(do func(context.Context, PauseRequest) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		req, err := pauseRequest(r)
		if err != nil {
			text(w, http.StatusBadRequest, err.Error())
			return
		}
		did, err := do(r.Context(), req)
		switch {
		case errors.Is(err, ErrNoRoute):
			text(w, http.StatusNotFound, err.Error())
		case errors.Is(err, ErrBadRequest):
			text(w, http.StatusBadRequest, err.Error())
		case err != nil:
			text(w, http.StatusServiceUnavailable, err.Error())
		default:
			s.json(w, did)
		}
	}
}

func pauseRequest(r *http.Request) (req PauseRequest, err error) {
	if err := r.ParseForm(); err != nil {
		return req, errors.New("the form cannot be read")
	}
	known := map[string]bool{"route": true, "lane": true, "for": true, "reason": true, "by": true}
	for key := range r.Form {
		if !known[key] {
			return req, fmt.Errorf("%.32q: no such parameter", key)
		}
	}
	req = PauseRequest{Route: r.Form.Get("route"), Lane: r.Form.Get("lane"), Reason: printable(r.Form.Get("reason"), maxReason+1), By: name(r.Form.Get("by")), From: r.RemoteAddr}
	if req.Route == "" {
		return req, errors.New("route: must be given")
	}
	if v := r.Form.Get("for"); v != "" {
		if req.For, err = time.ParseDuration(v); err != nil || req.For < time.Second {
			return req, errors.New("for: must be a duration of 1s or more, like 30m or 2h")
		}
	}
	if utf8.RuneCountInString(req.Reason) > maxReason {
		return req, fmt.Errorf("reason: must be at most %d characters", maxReason)
	}
	return req, nil
}

// json answers with v.
func (s *Server) json(w http.ResponseWriter, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		text(w, http.StatusInternalServerError, "the answer cannot be encoded")
		s.deps.Logger.Error("answer not encoded", "err", err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(body, '\n')) // a reader that left needs no answer
}
