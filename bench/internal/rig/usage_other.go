//go:build !linux

package rig

import (
	"errors"
	"syscall"
	"time"
)

var errNoProc = errors.New("CPU time and memory of a process are read from /proc: run the measurement on Linux")

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// Usage needs /proc, which only Linux has.
func (p *Proc) Usage() (Usage, error) {
	return Usage{}, errNoProc
}

// OwnCPU needs /proc likewise.
func OwnCPU() (time.Duration, error) { return 0, errNoProc }
