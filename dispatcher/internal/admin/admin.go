// Package admin serves a worker's health, status and metrics over HTTP:
//
//	GET /         the status page
//	GET /healthz  200 while the worker gets on with its work or has none, else 503 and the reason
//	GET /readyz   200 when it can take jobs, else 503 and the reason
//	GET /status   the worker's state as JSON
//	GET /fleet    the state of all workers as JSON
//	GET /metrics  Prometheus text or OpenMetrics
//	POST /pause, /resume   a route or lane, in all workers
//	POST /trace/{route}    a route's PDUs, one line of JSON each, while the request lasts
//	DELETE /trace/{route}  ends that
//	GET /debug/pprof/      profiles
//
// The page without what it shows, /healthz and /readyz are for everybody. All
// else is for this machine, and for others with a token or a client certificate:
// one kind for reading, another for what changes something. Profiles take the
// latter on this machine too.
package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bounds of a request and of the end of the server.
const (
	readTimeout     = 5 * time.Second
	writeTimeout    = 30 * time.Second
	shutdownTimeout = 2 * time.Second
)

// Config says where to listen.
type Config struct {
	Listen string // host:port; port 0 takes any free one. Required
	Access Access // at the start
}

// Deps are what the server shows. Each may be nil: Status is then an empty
// object, Ready and Alive always nil and Gatherer empty.
type Deps struct {
	Status   func(context.Context) any // what /status encodes; called concurrently
	Ready    func() error              // why no jobs can be taken now, nil when they can; called concurrently
	Alive    func() error              // why only a restart can help, nil when the worker gets on; must not block; called concurrently
	Gatherer prometheus.Gatherer       // what /metrics shows
	Logger   *slog.Logger              // default: nothing is logged

	// Fleet is what /fleet encodes; called concurrently. Nil: there is no fleet.
	Fleet func(context.Context) any

	// Pause and Resume do what is asked and return what /pause and /resume
	// answer. Their errors are ErrNoRoute, ErrBadRequest or of what they need.
	// Nil: nothing can be paused.
	Pause, Resume func(context.Context, PauseRequest) (any, error)

	// Trace begins a trace and EndTrace ends the one of a route, if there is
	// one. Nil: there is no tracing.
	Trace    func(TraceRequest) (TraceLines, error)
	EndTrace func(route string) bool
}

// Server is the admin server.
type Server struct {
	cfg  Config
	deps Deps

	access atomic.Pointer[Access] // replaced as a whole by SetAccess

	bound chan struct{} // closed by Run once addr is set
	addr  net.Addr      // written by Run before bound is closed
}

// New returns a server that listens when Run is called.
func New(cfg Config, deps Deps) *Server {
	if deps.Status == nil {
		deps.Status = func(context.Context) any { return struct{}{} }
	}
	if deps.Ready == nil {
		deps.Ready = func() error { return nil }
	}
	if deps.Alive == nil {
		deps.Alive = func() error { return nil }
	}
	if deps.Gatherer == nil {
		deps.Gatherer = prometheus.NewRegistry()
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, deps: deps, bound: make(chan struct{})}
	s.SetAccess(cfg.Access)
	return s
}

// Run serves until ctx ends; requests under way then have two seconds. It
// fails when the address cannot be listened on. It may be called once.
func (s *Server) Run(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("admin.listen: cannot listen on %s: %w", s.cfg.Listen, cause(err))
	}
	s.addr = l.Addr()
	close(s.bound)
	s.deps.Logger.Info("admin server listens", "addr", l.Addr().String())

	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		ErrorLog:          slog.NewLogLogger(s.deps.Logger.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx }, // ends traces
	}
	ended := make(chan error, 1)
	go func() { ended <- s.serve(server, l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("admin server: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close() // whoever still reads has had its time
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin server: %w", err)
	}
	return nil
}

// serve speaks TLS as Access has it at each handshake, or none.
func (s *Server) serve(server *http.Server, l net.Listener) error {
	if s.cfg.Access.TLS == nil {
		return server.Serve(l)
	}
	server.TLSConfig = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.access.Load().TLS, nil }}
	return server.ServeTLS(l, "", "")
}

// Addr waits until the server listens and returns its address, which tells
// the port when 0 was configured. It returns nil when ctx ends first.
func (s *Server) Addr(ctx context.Context) net.Addr {
	select {
	case <-s.bound:
		return s.addr
	case <-ctx.Done():
		return nil
	}
}

// cause strips the address that net repeats in every error.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// handler keeps what only reads apart from what changes something.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	s.reads(mux)
	s.writes(mux)
	s.profiles(mux)
	return mux
}

func (s *Server) reads(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { verdict(w, s.deps.Alive(), "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { verdict(w, s.deps.Ready(), "ready") })
	shows := func(pattern string, what func(context.Context) any) {
		mux.Handle(pattern, s.needs(reading, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.json(w, what(r.Context())) })))
	}
	shows("GET /status", s.deps.Status)
	if s.deps.Fleet != nil {
		shows("GET /fleet", s.deps.Fleet)
	}
	mux.Handle("GET /metrics", s.metrics(promhttp.HandlerFor(s.deps.Gatherer, promhttp.HandlerOpts{
		ErrorLog:      slog.NewLogLogger(s.deps.Logger.Handler(), slog.LevelWarn),
		ErrorHandling: promhttp.ContinueOnError,

		EnableOpenMetrics: true, // which has exemplars, for readers that ask for it
	})))
}

func (s *Server) writes(mux *http.ServeMux) {
	own := http.NewCrossOriginProtection() // another site's page in the operator's browser must not do any of it
	handle := func(pattern string, h http.HandlerFunc) { mux.Handle(pattern, own.Handler(s.needs(changing, h))) }
	if s.deps.Pause != nil {
		handle("POST /pause", s.pauses(s.deps.Pause))
		handle("POST /resume", s.pauses(s.deps.Resume))
	}
	if s.deps.Trace != nil {
		handle("POST /trace/{route}", s.trace)
		handle("DELETE /trace/{route}", s.endTrace)
	}
}

// verdict answers with a word, or with why not.
func verdict(w http.ResponseWriter, why error, word string) {
	if why != nil {
		text(w, http.StatusServiceUnavailable, why.Error())
		return
	}
	text(w, http.StatusOK, word)
}

func text(w http.ResponseWriter, code int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = fmt.Fprintln(w, line) // a reader that left needs no answer
}
