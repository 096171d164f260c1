package floor

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// wire writes to a connection from one goroutine, everything that has gathered
// since its last write in one call.
type wire struct {
	conn net.Conn
	wake chan struct{} // capacity 1: there is something in buf

	mu  sync.Mutex
	buf []byte // guarded by mu: not yet written
}

func dialWire(ctx context.Context, what, addr string) (*wire, error) {
	var d net.Dialer // TCP_NODELAY is Go's default
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", what, err)
	}
	return &wire{conn: conn, wake: make(chan struct{}, 1)}, nil
}

// add appends to what will be written; put must only append to its argument.
func (w *wire) add(put func([]byte) []byte) {
	w.mu.Lock()
	w.buf = put(w.buf)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run writes until ctx ends or the connection fails.
func (w *wire) run(ctx context.Context) error {
	var out []byte
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		}
		w.mu.Lock()
		out, w.buf = w.buf, out[:0]
		w.mu.Unlock()
		if _, err := w.conn.Write(out); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
}
