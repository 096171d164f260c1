package rig

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// Relay passes TCP connections on to a server, until it is told to break one.
type Relay struct {
	Addr    string // where it listens
	target  string
	listen  net.Listener
	done    sync.WaitGroup
	closing chan struct{} // closed by Close

	mu     sync.Mutex
	conns  []*relayed // open, in the order of connecting; guarded by mu
	closed bool       // guarded by mu
}

// relayed is one connection through the relay.
type relayed struct {
	relay    *Relay
	up, down net.Conn // of the client, of the server

	mu     sync.Mutex
	armed  bool          // guarded by mu
	toDown bool          // which direction is counted; guarded by mu
	left   int           // octets until the fault; guarded by mu
	silent time.Duration // how long nothing passes before the end; guarded by mu
	dead   chan struct{} // closed when nothing passes any more
	kill   sync.Once
	end    sync.Once
}

// StartRelay listens on a port of its own. Close ends it.
func StartRelay(target string) (*Relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start relay: %w", err)
	}
	r := &Relay{Addr: l.Addr().String(), target: target, listen: l, closing: make(chan struct{})}
	r.done.Go(r.accept)
	return r, nil
}

// Break breaks the n-th open connection, counted round, once so many more
// octets have passed from the client (or, with answers, from the server): what
// comes after them passes no more in either direction, and after silent the
// connection is reset. It reports whether there was one to break.
func (r *Relay) Break(n int, answers bool, octets int, silent time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.conns) == 0 {
		return false
	}
	c := r.conns[n%len(r.conns)]
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed, c.toDown, c.left, c.silent = true, !answers, octets, silent
	return true
}

// Close resets every connection and waits until they are gone.
func (r *Relay) Close() {
	r.mu.Lock()
	r.closed = true
	all := append([]*relayed(nil), r.conns...)
	r.mu.Unlock()
	_ = r.listen.Close()
	close(r.closing)
	for _, c := range all {
		c.reset()
	}
	r.done.Wait()
}

func (r *Relay) accept() {
	for {
		up, err := r.listen.Accept()
		if err != nil {
			return
		}
		r.done.Go(func() { r.connect(up) })
	}
}

func (r *Relay) connect(up net.Conn) {
	down, err := net.DialTimeout("tcp", r.target, time.Second)
	if err != nil {
		_ = up.Close()
		return
	}
	c := &relayed{relay: r, up: up, down: down, dead: make(chan struct{})}
	r.mu.Lock()
	closed := r.closed
	r.conns = append(r.conns, c)
	r.mu.Unlock()
	if closed {
		c.reset()
	}
	r.done.Go(func() { c.pass(down, up, true) })
	c.pass(up, down, false)
}

// pass copies one direction until the connection is reset.
func (c *relayed) pass(to, from net.Conn, toDown bool) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		n, hit := c.allow(n, toDown)
		if n > 0 {
			if _, werr := to.Write(b[:n]); werr != nil && err == nil {
				err = werr
			}
		}
		if hit {
			return
		}
		if err != nil {
			c.reset()
			return
		}
	}
}

// allow returns how many of n octets may pass, and whether nothing may after them.
func (c *relayed) allow(n int, toDown bool) (int, bool) {
	select {
	case <-c.dead:
		return 0, true
	default:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.armed || c.toDown != toDown {
		return n, false
	}
	if c.left > n {
		c.left -= n
		return n, false
	}
	c.kill.Do(func() { close(c.dead) })
	c.relay.done.Go(func() { c.rest(c.silent) })
	return c.left, true
}

// rest resets the connection after a while, sooner when the relay closes.
func (c *relayed) rest(silent time.Duration) {
	t := time.NewTimer(silent)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.relay.closing:
	}
	c.reset()
}

func (c *relayed) reset() {
	c.end.Do(func() {
		for _, conn := range []net.Conn{c.up, c.down} {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = conn.Close()
		}
		r := c.relay
		r.mu.Lock()
		defer r.mu.Unlock()
		for i, other := range r.conns {
			if other == c {
				r.conns = append(r.conns[:i:i], r.conns[i+1:]...)
				break
			}
		}
	})
}
