package apptest

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

// Live is a worker whose configuration file the test rewrites while it runs.
type Live struct {
	*app.App
	Path string       // of the file
	Stop func() error // drains; what Run returned

	rig *Rig
	id  string
}

// Live runs a worker from a file of its own that holds these routes, YAML with
// "$SMSC" for the SMSC's address; it sets their streams up.
func (r *Rig) Live(id, routes string) *Live {
	r.t.Helper()
	l := &Live{Path: filepath.Join(r.t.TempDir(), "shortwire.yaml"), rig: r, id: id}
	l.Write(routes)
	l.Setup()
	cfg, err := app.Load(l.Path, secret)
	if err != nil {
		r.t.Fatal(err)
	}
	l.App, err = app.New(cfg, app.Deps{
		Logger:  slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelInfo})).With("worker", id),
		Version: "test", ConfigFile: l.Path, Getenv: secret,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	r.worker = l.App
	r.mu.Unlock()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	l.Stop = sync.OnceValue(func() error { cancel(); return <-ended })
	r.t.Cleanup(func() { _ = l.Stop() })
	Until(r.t, "the worker is bound", func() bool {
		routes := l.Status().Routes
		return len(routes) > 0 && len(routes[0].Binds) > 0 && routes[0].Binds[0].State == "bound"
	})
	return l
}

// secret is an environment in which every variable is a password, that of the
// SMSC's account or the variable's name in lower case; but none is telemetry's.
func secret(name string) string {
	switch {
	case name == "ACME_PASSWORD":
		return "secret"
	case strings.HasPrefix(name, "OTEL_"):
		return ""
	}
	return strings.ToLower(name)
}

// Write replaces the file at once.
func (l *Live) Write(routes string) {
	l.rig.t.Helper()
	text := fmt.Sprintf(`
nats:   {url: %q}
redis:  {url: "redis://%s/0"}
admin:  {listen: 127.0.0.1:0}
worker: {id: %s, drain_timeout: %s}
routes:
%s`, l.rig.NATS.ClientURL(), l.rig.Redis.Addr, l.id, cmp.Or(l.rig.Drain, 8*time.Second), strings.ReplaceAll(routes, "$SMSC", l.rig.smsc))
	if err := os.WriteFile(l.Path+".new", []byte(text), 0o600); err != nil {
		l.rig.t.Fatal(err)
	}
	if err := os.Rename(l.Path+".new", l.Path); err != nil {
		l.rig.t.Fatal(err)
	}
}

// Setup makes the streams of the file's routes.
func (l *Live) Setup() {
	l.rig.t.Helper()
	cfg, err := app.Load(l.Path, secret)
	if err == nil {
		err = app.Setup(l.rig.t.Context(), cfg, io.Discard)
	}
	if err != nil {
		l.rig.t.Fatal(err)
	}
}

// Change writes the file, has the worker read it and waits until it is in
// force.
func (l *Live) Change(routes string) {
	l.rig.t.Helper()
	before := l.Status().Config
	l.Write(routes)
	l.Reload()
	Until(l.rig.t, "the change is in force", func() bool {
		c := l.Status().Config
		if c.Refused != nil && (before.Refused == nil || !c.Refused.Equal(*before.Refused)) {
			if !strings.Contains(c.Errors[0], "deadline exceeded") {
				l.rig.t.Fatalf("refused: %v", c.Errors)
			}
			l.Reload() // a server was slow
		}
		return c.Generation > before.Generation
	})
}
