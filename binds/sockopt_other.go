//go:build !linux

package binds

import (
	"syscall"
	"time"
)

// controlUserTimeout does nothing here: TCP_USER_TIMEOUT is Linux's. Keep-alive
// and enquire_link remain.
func controlUserTimeout(time.Duration) func(network, address string, c syscall.RawConn) error {
	return nil
}
