package app

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parsed(t *testing.T, text string) *Config {
	t.Helper()
	cfg, err := Parse("f.yaml", []byte(text), func(name string) string { return "secret of " + name })
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestADifferenceNamesEveryKeyAndNoPassword(t *testing.T) {
	t.Parallel()
	from := parsed(t, `
worker: {id: w1}
routes:
  - {name: acme, endpoints: ["a:1"], system_id: x, password_env: ONE, source: {address: A, ton: 5}}
  - {name: gone, endpoints: ["a:1"], system_id: x, password_env: ONE}
  - {name: same, endpoints: ["a:1"], system_id: x, password_env: ONE}
`)
	to := parsed(t, `
nats: {replicas: 3}
redis: {url: "redis://other:6379/0"}
worker: {id: w2}
routes:
  - {name: new, endpoints: ["a:1"], system_id: x, password_env: ONE}
  - {name: same, endpoints: ["a:1"], system_id: x, password_env: ONE}
  - {name: acme, endpoints: ["a:1", "b:2"], system_id: x, password_env: TWO, rate: 10, source: {address: A}, lanes: {bulk: 2}, correlation_ttl: 200h, max_binds: 3}
`)
	d := diff(from, to)
	want := []string{
		"new: added", "gone: removed", "acme.endpoints: [a:1] → [a:1 b:2]", "acme.password_env: ONE → TWO", "acme.password",
		"acme.max_binds: 0 → 3", "acme.rate: 0 → 10", "acme.burst: 0 → 1", "acme.lanes.bulk: 1 → 2", "acme.source.ton: 5 → default",
		"acme.correlation_ttl: 192h → 200h",
	}
	if diff := cmp.Diff(want, d.list()); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"nats.replicas (takes shortwire setup)", "redis.url", "worker.id"}, d.restart()); diff != "" {
		t.Errorf("takes a restart (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"acme"}, d.anew()); diff != "" {
		t.Errorf("routes that begin anew (-want +got):\n%s", diff)
	}
	same := diff(from, from)
	if len(same.list())+len(same.restart()) > 0 {
		t.Errorf("a configuration differs from itself: %v, %v", same.list(), same.restart())
	}
}

// The data directory of a Kubernetes ConfigMap is a link that moves.
func TestALookoutWaitsUntilNobodyWrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	point := func(to string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, "new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "file")); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "file")
	var l lookout
	looks := func(what string, want bool) {
		t.Helper()
		if got := l.look(); got != want {
			t.Errorf("%s: %t, want %t", what, got, want)
		}
	}
	read := func() {
		t.Helper()
		l.seen = make(reading)
		_, _ = l.seen.file(path)
	}
	looks("before anything was read", true)
	read()
	looks("a file that is not there", false)
	write("one", "1")
	point("one")
	looks("it comes", false)
	looks("it has come", true)
	read()
	looks("nothing new", false)
	write("one", "1, half")
	looks("half written", false)
	if l.again() != lookAgain {
		t.Error("it does not look again soon")
	}
	write("one", "1, whole")
	looks("just written", false)
	looks("written", true)
	read()
	write("two", "2")
	point("two")
	looks("the link moves", false)
	point("one")
	looks("and moves back", false)
	looks("as if nothing had been", false)
	if l.again() != lookEvery {
		t.Error("it goes on looking soon")
	}
	point("two")
	looks("the link moves again", false)
	looks("and stays", true)
	read()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	looks("the file goes", false)
	looks("and is gone", true)
}
