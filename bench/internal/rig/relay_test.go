package rig

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// echo answers every connection with what it says.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	return l.Addr().String()
}

func relayTo(t *testing.T, target string) (*Relay, net.Conn) {
	t.Helper()
	r, err := StartRelay(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	c, err := net.Dial("tcp", r.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := read(t, c, 5); string(got) != "hello" {
		t.Fatalf("echo of hello is %q", got)
	}
	return r, c
}

func read(t *testing.T, c net.Conn, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRelayCutsAfterSoManyOctets(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]bool{"of the client": false, "of the server": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, c := relayTo(t, echo(t))
			if !r.Break(3, answers, 10, 0) { // the only one, counted round
				t.Fatal("no connection to break")
			}
			if _, err := c.Write(bytes.Repeat([]byte("x"), 100)); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(c)
			if err == nil || len(got) > 10 {
				t.Errorf("%d octets came back, then %v; want at most 10 and a reset", len(got), err)
			}
		})
	}
}

func TestRelayFallsSilentAndTheConnectionStaysOpen(t *testing.T) {
	t.Parallel()
	r, c := relayTo(t, echo(t))
	r.Break(0, true, 3, time.Hour)
	if _, err := c.Write([]byte("abcdef")); err != nil {
		t.Fatal(err)
	}
	if got := read(t, c, 3); string(got) != "abc" {
		t.Errorf("%q came before the silence, want abc", got)
	}
	if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d octets and %v from a silent connection", n, err)
	}
}

func TestRelayHasNothingToBreakWithoutConnections(t *testing.T) {
	t.Parallel()
	r, err := StartRelay("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Break(0, false, 1, 0) {
		t.Error("a connection was found")
	}
}
