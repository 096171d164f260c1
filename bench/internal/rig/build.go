package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Binaries are the programs of a run.
type Binaries struct {
	Shortwire string // the worker
	SMSCSim   string // the SMSC simulator
	NATS      string // nats-server, built from the module that go.mod pins
	Redis     string // redis-server, from PATH
	dir       string
}

// Build compiles the programs into a temporary directory, which Remove deletes,
// and finds redis-server. It must be called within the repository.
func Build(ctx context.Context) (*Binaries, error) {
	redis, err := findRedis()
	if err != nil {
		return nil, err
	}
	root, err := ModuleRoot(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "shortwire-bin-")
	if err != nil {
		return nil, fmt.Errorf("make directory for programs: %w", err)
	}
	b := &Binaries{Redis: redis, dir: dir}
	for _, p := range []struct {
		pkg, name string
		out       *string
	}{
		{"./cmd/shortwire", "shortwire", &b.Shortwire},
		{"./cmd/smscsim", "smscsim", &b.SMSCSim},
		{"github.com/nats-io/nats-server/v2", "nats-server", &b.NATS},
	} {
		*p.out = filepath.Join(dir, p.name)
		cmd := exec.CommandContext(ctx, "go", "build", "-o", *p.out, p.pkg)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, errors.Join(fmt.Errorf("build %s: %w\n%s", p.pkg, err, out), b.Remove())
		}
	}
	return b, nil
}

// Prebuilt takes the programs from a directory, under the names that Build gives them.
func Prebuilt(dir string) (*Binaries, error) {
	redis, err := findRedis()
	if err != nil {
		return nil, err
	}
	b := &Binaries{Redis: redis}
	for name, out := range map[string]*string{"shortwire": &b.Shortwire, "smscsim": &b.SMSCSim, "nats-server": &b.NATS} {
		if *out, err = exec.LookPath(filepath.Join(dir, name)); err != nil {
			return nil, fmt.Errorf("find programs: %w", err)
		}
	}
	return b, nil
}

// Remove deletes the programs that Build compiled.
func (b *Binaries) Remove() error {
	if b.dir == "" {
		return nil
	}
	return os.RemoveAll(b.dir)
}

func findRedis() (string, error) {
	redis, err := exec.LookPath("redis-server")
	if err != nil {
		return "", fmt.Errorf("%w\nhint: install it: apt-get install redis-server, apk add redis, or brew install redis", err)
	}
	return redis, nil
}

// ModuleRoot is the directory of go.mod.
func ModuleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if mod == "" || mod == os.DevNull {
		return "", fmt.Errorf("not in the repository: run it where go.mod is")
	}
	return filepath.Dir(mod), nil
}
