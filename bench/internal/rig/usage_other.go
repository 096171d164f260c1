//go:build !linux

package rig

import (
	"errors"
	"syscall"
)

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// Usage needs /proc, which only Linux has.
func (p *Proc) Usage() (Usage, error) {
	return Usage{}, errors.New("CPU time and memory of a process are read from /proc: run the measurement on Linux")
}
