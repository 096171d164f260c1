package app_test

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

func TestSecretsThatAreRotatedWhileAWorkerRunsHoldFromTheNextConnectionOn(t *testing.T) {
	t.Parallel()
	_, addr := apptest.SMSC(t, smsctest.Config{})
	dir := inDir(t, map[string][]byte{
		"nats": []byte("old-of-nats"), "redis": []byte("old-of-redis"), "read": []byte("old-token-to-read"),
		"users.acl": []byte("user default on nopass ~* +@all\nuser worker on >old-of-redis ~sw:* +@all\n"),
	})
	opts := &server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), Username: "worker", Password: "old-of-nats"}
	n := natsWith(t, opts.Clone())
	opts.Port = n.Addr().(*net.TCPAddr).Port
	r := redistest.Start(t, "--aclfile", filepath.Join(dir, "users.acl"))
	if !r.Real() {
		t.Skip("skip: needs redis-server, the stand-in has no users of its own")
	}
	path := filepath.Join(dir, "shortwire.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, `
nats:   {url: %q, user: worker, password_file: nats}
redis:  {url: "redis://%s/0", user: worker, password_file: redis}
admin:  {listen: 127.0.0.1:0, read_token_file: read}
worker: {id: w1, drain_timeout: 8s}
routes:
  - {name: acme, endpoints: [%q], system_id: acme, password_env: P, source: {address: ACME}}
`, n.ClientURL(), r.Addr, addr), 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(string) string { return "secret" }
	cfg, err := app.Load(path, getenv)
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Setup(t.Context(), cfg, &strings.Builder{}); err != nil {
		t.Fatal(err)
	}
	var log apptest.Log
	w := runApp(t, cfg, app.Deps{Logger: slog.New(slog.NewTextHandler(&log, nil)), ConfigFile: path, Getenv: getenv})

	for name, secret := range map[string]string{"nats": "new-of-nats", "redis": "new-of-redis", "read": "new-token-to-read"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.Reload()
	apptest.Until(t, "the change is in force", func() bool { return len(w.Status().Config.Changes) > 0 })
	if c := w.Status().Config; strings.Join(c.Changes, " ") != "nats.password redis.password admin.read_token" || len(c.TakesRestart) > 0 {
		t.Errorf("changes: %q, takes a restart: %q", c.Changes, c.TakesRestart)
	}
	opts.Password, opts.NoSigs, opts.NoLog = "new-of-nats", true, true
	if err := n.ReloadOptions(opts); err != nil { // it closes connections with the old password
		t.Fatal(err)
	}
	db := redis.NewClient(&redis.Options{Addr: r.Addr})
	defer db.Close()
	for _, command := range [][]any{{"acl", "setuser", "worker", ">new-of-redis", "<old-of-redis"}, {"client", "kill", "user", "worker"}} {
		if err := db.Do(t.Context(), command...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	nc, err := nats.Connect(n.ClientURL(), nats.Timeout(30*time.Second), nats.UserInfo("worker", "new-of-nats"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "sms.jobs.acme.normal.shop", []byte(`{"id":"j1","to":"+447700900123","text":"x"}`)); err != nil {
		t.Fatal(err)
	}
	apptest.Until(t, "a job is sent", func() bool { return w.Status().Routes[0].Outcomes["submitted"] == 1 })

	for token, want := range map[string]int{"old-token-to-read": http.StatusUnauthorized, "new-token-to-read": http.StatusOK} {
		if got := askFromElsewhere(t, w.AdminURL(t.Context())+"/status", token); got != want {
			t.Errorf("%s: %d, want %d", token, got, want)
		}
	}
	if text := log.String(); strings.Contains(text, "-of-nats") || strings.Contains(text, "-of-redis") || strings.Contains(text, "token-to-read") {
		t.Errorf("a secret is logged:\n%s", text)
	}
}

// askFromElsewhere asks as through a proxy: being on this machine does not count.
func askFromElsewhere(t *testing.T, url, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "192.0.2.1")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
