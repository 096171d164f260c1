package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// inside marks the process that runs in a network namespace of its own.
const inside = "SHORTWIRE_FLEET_NAMESPACE"

func inNamespace() bool { return os.Getenv(inside) != "" }

// enterNamespace runs this program again in a network namespace of its own, so
// that the machine's own network is left alone.
func (o options) enterNamespace(ctx context.Context) (held bool, err error) {
	self, err := os.Executable()
	if err != nil {
		return false, fmt.Errorf("find this program: %w", err)
	}
	if os.Geteuid() != 0 {
		return false, fmt.Errorf("%w: network namespaces need root", errUnable)
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return false, fmt.Errorf("%w: the ip command is needed: %w", errUnable, err)
	}
	cmd := exec.CommandContext(ctx, self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return false, fmt.Errorf("%w: make a network namespace: %w", errUnable, err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		switch exit.ExitCode() {
		case exitBroken:
			return false, nil
		case exitUnable:
			return false, fmt.Errorf("%w: see above", errUnable)
		}
	}
	return err == nil, err
}

// island is a network namespace that is tied to this one by one link for each
// service, so that each can be cut alone.
type island struct {
	name  string
	links map[string]link
}

// link is a pair of interfaces; the service is at host, as seen from within.
type link struct{ dev, host string }

// newIsland makes the namespace. Close removes it.
func newIsland(ctx context.Context, services ...string) (*island, error) {
	n := &island{name: "fleet-" + strconv.Itoa(os.Getpid()), links: map[string]link{}}
	if err := ip(ctx, "link set lo up", "netns add "+n.name, "-n "+n.name+" link set lo up"); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnable, err)
	}
	for i, service := range services {
		here, there := fmt.Sprintf("here%d", i), fmt.Sprintf("there%d", i)
		l := link{dev: here, host: fmt.Sprintf("10.77.%d.1", i)}
		err := ip(ctx,
			"link add "+here+" type veth peer name "+there,
			"link set "+there+" netns "+n.name,
			"addr add "+l.host+"/30 dev "+here,
			"link set "+here+" up",
			"-n "+n.name+" addr add "+fmt.Sprintf("10.77.%d.2", i)+"/30 dev "+there,
			"-n "+n.name+" link set "+there+" up",
		)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%w: %w", errUnable, err), n.Close())
		}
		n.links[service] = l
	}
	return n, nil
}

// Close removes the namespace.
func (n *island) Close() error { return ip(context.Background(), "netns del "+n.name) }

// wrap is what a command is put behind to run within.
func (n *island) wrap() []string { return []string{"ip", "netns", "exec", n.name} }

// reach rewrites the host of host:port, or of the URL around it, to what leads
// to the service from within.
func (n *island) reach(service, address string) string {
	return strings.Replace(address, "127.0.0.1", n.links[service].host, 1)
}

// cut drops every packet on the way to the service and back, without a word to
// either side; heal ends it.
func (n *island) cut(ctx context.Context, service string) error {
	return ip(ctx, "link set "+n.links[service].dev+" down")
}

func (n *island) heal(ctx context.Context, service string) error {
	return ip(ctx, "link set "+n.links[service].dev+" up")
}

// ip runs the command of that name with each line of arguments.
func ip(ctx context.Context, lines ...string) error {
	for _, l := range lines {
		if out, err := exec.CommandContext(ctx, "ip", strings.Fields(l)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", l, err, bytes.TrimSpace(out))
		}
	}
	return nil
}
