package binds

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheKernelWatchesConnections(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	options := func(cfg Config) map[string]int {
		cfg.SystemID, cfg.Endpoints = "acme", []string{l.Addr().String()}
		p, err := New(cfg, Deps{})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := p.dial(t.Context(), p.config(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		err = raw.Control(func(fd uintptr) {
			for name, o := range map[string]struct{ level, option int }{
				"SO_KEEPALIVE":     {syscall.SOL_SOCKET, syscall.SO_KEEPALIVE},
				"TCP_KEEPIDLE":     {syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE},
				"TCP_KEEPINTVL":    {syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL},
				"TCP_KEEPCNT":      {syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT},
				"TCP_USER_TIMEOUT": {syscall.IPPROTO_TCP, tcpUserTimeout},
				"TCP_NODELAY":      {syscall.IPPROTO_TCP, syscall.TCP_NODELAY},
			} {
				got[name], _ = syscall.GetsockoptInt(int(fd), o.level, o.option)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	want := map[string]int{
		"SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 50_000, "TCP_NODELAY": 1,
	}
	if diff := cmp.Diff(want, options(Config{EnquireLink: 25 * time.Second})); diff != "" {
		t.Errorf("by default (-want +got):\n%s", diff)
	}
	off := options(Config{KeepAlive: -1, UserTimeout: -1})
	if off["SO_KEEPALIVE"] != 0 || off["TCP_USER_TIMEOUT"] != 0 {
		t.Errorf("switched off: %v", off)
	}
}
