package peers

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/shortwire-sms/shortwire/bench/internal/rig"
)

// nodeDir is where the worker's sources and packages are.
func nodeDir(ctx context.Context) (string, error) {
	root, err := rig.ModuleRoot(ctx)
	if err != nil {
		return "", err
	}
	return filepath.Join(root, "bench", "peers", "node"), nil
}

func nodeNeeds(ctx context.Context) error {
	program, err := exec.LookPath("node")
	if err != nil {
		return fmt.Errorf("%w\nhint: install Node.js 20 or newer, then run npm ci in bench/peers/node", err)
	}
	dir, err := nodeDir(ctx)
	if err != nil {
		return err
	}
	// Node itself says whether its version and the packages are as package-lock.json has them.
	cmd := exec.CommandContext(ctx, program, "needs.mjs")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s\nhint: run npm ci in bench/peers/node", strings.TrimSpace(string(out)))
	}
	return nil
}

func startNode(ctx context.Context, r *rig.Rig, w Where) ([]*rig.Proc, error) {
	dir, err := nodeDir(ctx)
	if err != nil {
		return nil, err
	}
	p, err := r.Start("node", []string{"SMPP_PASSWORD=" + w.Password, "NODE_ENV=production"}, "node", filepath.Join(dir, "worker.mjs"),
		"--nats", w.NATS, "--redis", w.Redis, "--smsc", w.SMSC, "--system-id", w.SystemID,
		"--binds", strconv.Itoa(w.Binds), "--window", strconv.Itoa(w.Window))
	if err != nil {
		return nil, err
	}
	if err := p.Ready(ctx, says(p, fmt.Sprintf("process %d consumes\n", p.PID()))); err != nil {
		return nil, err
	}
	return []*rig.Proc{p}, nil
}

// says checks that a process has printed something.
func says(p *rig.Proc, what string) func(context.Context) error {
	return func(context.Context) error {
		out, err := p.Contents()
		if err == nil && !strings.Contains(string(out), what) {
			err = fmt.Errorf("it has not said %q", what)
		}
		return err
	}
}
