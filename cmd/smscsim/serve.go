package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

// serve runs the simulator until ctx is done and then prints the summary.
func serve(ctx context.Context, o *options, cfg smsctest.Config, stdout io.Writer) (err error) {
	if o.record != "" {
		f, err := os.Create(o.record)
		if err != nil {
			return fmt.Errorf("record: %w", err)
		}
		defer func() { _ = f.Close() }()
		cfg.RecordTo = f
	}
	if o.times != "" {
		f, err := os.Create(o.times)
		if err != nil {
			return fmt.Errorf("times: %w", err)
		}
		defer func() { _ = f.Close() }()
		cfg.TimesTo = f
	}
	smsc := smsctest.New(cfg)
	defer func() {
		if cerr := smsc.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("record: %w", cerr)
		}
		if err == nil {
			_, _ = fmt.Fprint(stdout, summary(smsc.Stats()))
		}
	}()
	addr, err := smsc.Listen(o.listen)
	if err != nil {
		return fmt.Errorf("--listen: %w; choose another address, or port 0 for any free one", err)
	}
	ready := "smscsim: listening on " + addr.String()
	if o.admin != "" {
		l, err := net.Listen("tcp", o.admin)
		if err != nil {
			return fmt.Errorf("--admin: %w; choose another address, or port 0 for any free one", err)
		}
		ready += ", admin on " + l.Addr().String()
		defer serveAdmin(l, smsc)()
	}
	_, _ = fmt.Fprintln(stdout, ready)
	<-ctx.Done()
	return nil
}

// serveAdmin serves on l until the function it returns is called.
func serveAdmin(l net.Listener, smsc *smsctest.SMSC) func() {
	srv := &http.Server{Handler: adminHandler(smsc), ReadHeaderTimeout: 5 * time.Second}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) }) // ends with ErrServerClosed
	return func() {
		_ = srv.Close()
		wg.Wait()
	}
}

func adminHandler(smsc *smsctest.SMSC) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, smsc.Stats()) })
	mux.HandleFunc("GET /binds", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, smsc.Binds()) })
	mux.HandleFunc("POST /cut", func(w http.ResponseWriter, r *http.Request) {
		n := 1
		if bind := r.URL.Query().Get("bind"); bind == "" {
			n = smsc.CutConnections()
		} else if id, err := strconv.ParseUint(bind, 10, 64); err != nil {
			http.Error(w, "bind: "+err.Error(), http.StatusBadRequest)
			return
		} else if err := smsc.Cut(id); err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		writeJSON(w, map[string]int{"connections": n})
	})
	mux.HandleFunc("POST /unbind", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]int{"binds": smsc.Unbind()})
	})
	mux.HandleFunc("POST /stall", forAWhile(smsc.Stall, smsc.Resume))
	mux.HandleFunc("POST /resume", func(http.ResponseWriter, *http.Request) { smsc.Resume() })
	mux.HandleFunc("POST /refuse", forAWhile(func() { smsc.Refuse(true) }, func() { smsc.Refuse(false) }))
	mux.HandleFunc("POST /accept", func(http.ResponseWriter, *http.Request) { smsc.Refuse(false) })
	mux.HandleFunc("POST /hold", forAWhile(smsc.HoldDeliveries, smsc.ReleaseDeliveries))
	mux.HandleFunc("POST /release", func(http.ResponseWriter, *http.Request) { smsc.ReleaseDeliveries() })
	mux.HandleFunc("POST /mo", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("system_id") == "" {
			http.Error(w, "system_id: required", http.StatusBadRequest)
			return
		}
		smsc.DeliverMO(smsctest.MO{
			SystemID: q.Get("system_id"), Source: q.Get("from"), Destination: q.Get("to"), ShortMessage: []byte(q.Get("text")),
		})
	})
	return mux
}

// forAWhile begins something, and ends it after the duration in the query
// parameter for, if there is one.
func forAWhile(begin, end func()) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var d time.Duration
		if s := r.URL.Query().Get("for"); s != "" {
			var err error
			if d, err = time.ParseDuration(s); err == nil && d <= 0 {
				err = errors.New("must be above zero")
			}
			if err != nil {
				http.Error(w, "for: "+err.Error(), http.StatusBadRequest)
				return
			}
		}
		begin()
		if d > 0 {
			time.AfterFunc(d, end)
		}
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone
}

func summary(st smsctest.Stats) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "smscsim: %d submit_sm: %d accepted (%d unique, %d repeated), %d unanswered, at most %d/s and %d outstanding\n",
		st.Submits, st.Accepted, st.Unique, st.Duplicate, st.Unanswered, st.MaxRate, st.MaxWindow)
	for _, name := range slices.Sorted(maps.Keys(st.Refused)) {
		_, _ = fmt.Fprintf(&b, "smscsim: refused with %s: %d\n", name, st.Refused[name])
	}
	_, _ = fmt.Fprintf(&b, "smscsim: %d receipts: %d sent, %d acknowledged, %d refused, %d pending\n",
		st.Receipts.Due, st.Receipts.Sent, st.Receipts.Acked, st.Receipts.Refused, st.Receipts.Pending())
	_, _ = fmt.Fprintf(&b, "smscsim: %d binds: %d unbound, %d lost\n", st.BindsTotal, st.Unbinds+st.UnbindResp, st.Lost)
	return b.String()
}
