package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Proc is one process of a rig. Its output goes to a log file.
type Proc struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed by the waiter once the process is gone
}

// Start begins a process; name also names its log file, which later processes
// of that name append to. env is added to the rig's own environment.
func (r *Rig) Start(name string, env []string, program string, args ...string) (*Proc, error) {
	log := filepath.Join(r.dir, name+".log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", name, err)
	}
	defer out.Close()
	cmd := exec.Command(program, args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Proc{name: name, log: log, cmd: cmd, done: make(chan struct{})}
	r.mu.Lock()
	r.procs = append(r.procs, p)
	r.mu.Unlock()
	// Ends with the process; Kill and Close wait for it.
	go func() {
		defer close(p.done)
		_ = cmd.Wait()
	}()
	return p, nil
}

// Name is what Start was given.
func (p *Proc) Name() string { return p.name }

// PID is the process id.
func (p *Proc) PID() int { return p.cmd.Process.Pid }

// Done is closed once the process is gone.
func (p *Proc) Done() <-chan struct{} { return p.done }

// Log is the path of the log file.
func (p *Proc) Log() string { return p.log }

// Signal sends a signal; it is no error that the process has gone.
func (p *Proc) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s to %s: %w", sig, p.name, err)
	}
	return nil
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (p *Proc) Kill() error {
	err := p.Signal(syscall.SIGKILL)
	<-p.done
	return err
}

// Terminate sends SIGTERM and waits until the process is gone. It returns the
// exit code, or -1 when a signal ended it, and an error when ctx ended first.
func (p *Proc) Terminate(ctx context.Context) (int, error) {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for %s to end after SIGTERM: %w", p.name, context.Cause(ctx))
	}
}

// Ready waits until check passes. A process that ends first, or does not get
// ready in time, is an error that carries the tail of its log.
func (p *Proc) Ready(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("not ready within %s", readyTimeout))
	defer cancel()
	err := Await(ctx, p.name, func(ctx context.Context) error {
		select {
		case <-p.done:
			cancel()
			return fmt.Errorf("it ended: %s", p.cmd.ProcessState)
		default:
			return check(ctx)
		}
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.Tail(20))
	}
	return nil
}

// Tail is the last lines of the log, each indented, under a heading.
func (p *Proc) Tail(lines int) string {
	b, err := tail(p.log, 64<<10)
	if err != nil {
		return fmt.Sprintf("  (log of %s: %v)", p.name, err)
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	all = all[max(0, len(all)-lines):]
	return fmt.Sprintf("  last lines of %s:\n  | %s", p.name, strings.Join(all, "\n  | "))
}

// Contents is what the process has printed so far, at most its first 64 KiB.
func (p *Proc) Contents() ([]byte, error) {
	f, err := os.Open(p.log)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 64<<10))
}

// tail returns at most the last max octets of a file, from the start of a line.
func tail(path string, max int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	from := size - max
	if from < 0 {
		from = 0
	}
	b := make([]byte, size-from)
	if _, err := f.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if from > 0 {
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			b = b[i+1:]
		}
	}
	return b, nil
}

// Usage is what a process has used since it began.
type Usage struct {
	CPU     time.Duration // user and system, in steps of 10 ms
	RSS     int64         // resident now, in octets
	PeakRSS int64         // most that was resident, in octets
}
