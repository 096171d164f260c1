// Package examples runs the examples in other languages against a worker.
package examples

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
)

// patience is how long an example may take, and npm before it.
const patience = 2 * time.Minute

// worker runs one beside NATS, Redis and an SMSC, and returns NATS' URL.
func worker(t *testing.T) string {
	t.Helper()
	_, addr := apptest.SMSC(t, smsctest.Config{SystemID: "acme", Password: "secret", Magic: true})
	rig := apptest.Start(t, addr, "")
	rig.Worker("w1")
	return rig.NATS.ClientURL()
}

// run runs a program in a folder and returns what it printed.
func run(t *testing.T, dir, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// sends runs an example twice: a job, and one that fails.
func sends(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	url := worker(t)
	for _, c := range []struct {
		id, to string
		want   []string // the receipt may come before the outcome
	}{
		{"order-1", "+447700900123", []string{"stored order-1 false", "submitted order-1", "receipt order-1 DELIVERED"}},
		{"order-2", "+447700900404", []string{"stored order-2 false", "failed order-2 rejected"}},
	} {
		out, err := run(t, dir, program, append(args, url, "acme", c.id, c.to, "Your parcel is on its way.")...)
		for _, want := range c.want {
			if err != nil || !strings.Contains(strings.ReplaceAll(out, "False", "false"), want) {
				t.Errorf("%s %v: %v, %q is not in what was printed:\n%s", program, args, err, want, out)
			}
		}
	}
}

// needs skips, and says so, where a program is not installed.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed: the example was not run", p)
		}
	}
}

// Where npm cannot reach its registry, it says one of these.
var offline = regexp.MustCompile(`\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|network)\b`)

func TestTheNodeExampleSendsAndReads(t *testing.T) {
	t.Parallel()
	needs(t, "node", "npm")
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "shop.mjs"} {
		data, err := os.ReadFile(filepath.Join("node", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if out, err := run(t, dir, "npm", "ci", "--no-audit", "--no-fund", "--prefer-offline"); err != nil {
		if offline.MatchString(out) {
			t.Skipf("npm does not reach its registry: the example was not run\n%s", out)
		}
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	sends(t, dir, "node", "shop.mjs")
}

func TestThePythonExampleSendsAndReads(t *testing.T) {
	t.Parallel()
	needs(t, "python3")
	source, err := filepath.Abs("python/shop.py")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, t.TempDir(), "python3", "-c", "import nats.js"); err == nil {
		sends(t, t.TempDir(), "python3", source)
		return
	}
	t.Log("nats-py is not installed: the example was run on what stands in for it, testdata/nats.py")
	standIn, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	sends(t, t.TempDir(), "env", "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="+standIn, "python3", source)
}

func TestTheGoExampleSendsAndWaits(t *testing.T) {
	t.Parallel()
	url := worker(t)
	out, err := run(t, "../..", "go", "run", "./deploy/examples/producer", "-nats", url, "-id", "order-1", "-to", "+447700900123", "-text", "Hello")
	if want := "stored order-1 false\nsubmitted order-1  \n"; err != nil || out != want {
		t.Errorf("%v, printed %q, want %q", err, out, want)
	}
}

func TestTheExampleWithTheNATSCommandSendsAndReads(t *testing.T) {
	t.Parallel()
	needs(t, "nats", "jq", "bash")
	url := worker(t)
	out, err := run(t, "cli", "./shop.sh", url, "acme", "order-1", "+447700900123", "Hello")
	for _, want := range []string{`"stream":"SMS_JOBS_ACME"`, `"kind":"submitted"`, `"state":"DELIVERED"`} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%v, %s is not in what was printed:\n%s", err, want, out)
		}
	}
}
