package floor

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/shortwire-sms/shortwire/bench/internal/load"
)

// Life of what is written to Redis, as a worker's defaults have it, in seconds.
const (
	ledgerTTL      = 24 * 3600
	correlationTTL = 192 * 3600
	shortTTL       = 3600
)

// lookAgain bounds how often a receipt's job is looked up. A receipt that comes
// over another bind can overtake its submit_sm_resp by some microseconds.
const lookAgain = 100_000

// redis is one connection with every command pipelined. Answers arrive in the
// order of the commands, so the order of ops says whose they are.
type redis struct {
	f   *floor
	w   *wire
	ops []op // guarded by w.mu: commands whose answers nobody has read
}

// op is one command sent.
type op struct {
	kind opKind
	job  *job
	rcpt *receipt
}

type opKind uint8

const (
	opClaim   opKind = iota // SET NX GET EX of the ledger
	opIgnore                // an answer that says nothing
	opRecord                // the last command of record
	opResolve               // GET of the correlation
)

func dialRedis(ctx context.Context, addr string, f *floor) (*redis, error) {
	w, err := dialWire(ctx, "Redis", addr)
	if err != nil {
		return nil, err
	}
	return &redis{f: f, w: w}, nil
}

func (r *redis) claim(j *job) {
	r.w.add(func(b []byte) []byte {
		r.ops = append(r.ops, op{kind: opClaim, job: j})
		b = append(b, "*7\r\n$3\r\nSET\r\n"...)
		b = r.ledgerKey(b, j)
		b = appendBulk(b, "begun floor 1")
		b = append(b, "$2\r\nNX\r\n$3\r\nGET\r\n$2\r\nEX\r\n"...)
		return appendBulkInt(b, ledgerTTL)
	})
}

// record writes correlation and outcome and takes a receipt that came too early.
func (r *redis) record(j *job) {
	r.w.add(func(b []byte) []byte {
		r.ops = append(r.ops, op{kind: opIgnore}, op{kind: opIgnore}, op{kind: opRecord, job: j})
		b = append(b, "*5\r\n$3\r\nSET\r\n"...)
		b = r.key(b, "c", j.smsc)
		b = appendBulk(b, j.producer, " ", j.id)
		b = append(b, "$2\r\nEX\r\n"...)
		b = appendBulkInt(b, correlationTTL)
		b = append(b, "*5\r\n$3\r\nSET\r\n"...)
		b = r.ledgerKey(b, j)
		b = appendBulk(b, "submitted ", j.smsc, " ", time.Now().UTC().Format(time.RFC3339Nano))
		b = append(b, "$2\r\nEX\r\n"...)
		b = appendBulkInt(b, ledgerTTL)
		b = append(b, "*2\r\n$6\r\nGETDEL\r\n"...)
		return r.key(b, "p", j.smsc)
	})
}

// resolve looks up the job of a receipt.
func (r *redis) resolve(rc *receipt) {
	r.w.add(func(b []byte) []byte {
		r.ops = append(r.ops, op{kind: opResolve, rcpt: rc}, op{kind: opIgnore})
		b = append(b, "*2\r\n$3\r\nGET\r\n"...)
		b = r.key(b, "c", rc.id)
		b = append(b, "*3\r\n$6\r\nEXPIRE\r\n"...)
		b = r.key(b, "c", rc.id)
		return appendBulkInt(b, shortTTL)
	})
}

func (r *redis) ledgerKey(b []byte, j *job) []byte {
	return r.key(b, "j", j.producer, ":", j.id)
}

// key appends a key, the last part of which is its hash tag.
func (r *redis) key(b []byte, kind string, name ...string) []byte {
	n := len("sw:") + len(load.Route) + len(":") + len(kind) + len(":{}")
	for _, s := range name {
		n += len(s)
	}
	b = appendLen(b, '$', n)
	b = append(b, "sw:"...)
	b = append(b, load.Route...)
	b = append(b, ':')
	b = append(b, kind...)
	b = append(b, ":{"...)
	for _, s := range name {
		b = append(b, s...)
	}
	return append(b, "}\r\n"...)
}

// readLoop reads answers and begins what follows from each.
func (r *redis) readLoop() error {
	rd := bufio.NewReaderSize(r.w.conn, 64<<10)
	var ops []op
	for at := 0; ; at++ {
		v, err := readReply(rd)
		if err != nil {
			return fmt.Errorf("read from Redis: %w", err)
		}
		if at == len(ops) {
			r.w.mu.Lock()
			ops, r.ops = r.ops, ops[:0]
			r.w.mu.Unlock()
			at = 0
		}
		o := ops[at]
		ops[at] = op{}
		switch {
		case o.kind == opClaim && v == nil:
			r.f.claimed(o.job)
		case o.kind == opClaim:
			r.f.settled(o.job)
		case o.kind == opRecord:
			r.f.recorded(o.job)
		case o.kind == opResolve && v == nil:
			if o.rcpt.looks++; o.rcpt.looks > lookAgain {
				return fmt.Errorf("receipt for %s, which nobody submitted", o.rcpt.id)
			}
			r.resolve(o.rcpt)
		case o.kind == opResolve:
			if err := o.rcpt.parseCorrelation(v); err != nil {
				return err
			}
			r.f.results.receipt(o.rcpt)
		}
	}
}

// readReply reads one RESP2 reply that is not an array. nil is the null bulk
// string; what it returns is valid until the next read.
func readReply(rd *bufio.Reader) ([]byte, error) {
	line, err := rd.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	line = bytes.TrimSuffix(line, []byte("\r\n"))
	if len(line) == 0 {
		return nil, fmt.Errorf("empty reply")
	}
	switch line[0] {
	case '+', ':':
		return line[1:], nil
	case '$':
		n, err := strconv.Atoi(string(line[1:]))
		if err != nil || n < -1 || n > rd.Size()-2 {
			return nil, fmt.Errorf("length of reply %q", line)
		}
		if n < 0 {
			return nil, nil
		}
		b, err := rd.Peek(n + 2)
		if err != nil {
			return nil, err
		}
		if _, err := rd.Discard(n + 2); err != nil {
			return nil, err
		}
		return b[:n], nil
	case '-':
		return nil, fmt.Errorf("redis: %s", line[1:])
	}
	return nil, fmt.Errorf("reply %q: %w", line, io.ErrUnexpectedEOF)
}

// appendBulk appends its arguments as one bulk string.
func appendBulk(b []byte, parts ...string) []byte {
	n := 0
	for _, s := range parts {
		n += len(s)
	}
	b = appendLen(b, '$', n)
	for _, s := range parts {
		b = append(b, s...)
	}
	return append(b, "\r\n"...)
}

func appendBulkInt(b []byte, n int) []byte {
	var digits [20]byte
	d := strconv.AppendInt(digits[:0], int64(n), 10)
	b = appendLen(b, '$', len(d))
	b = append(b, d...)
	return append(b, "\r\n"...)
}

func appendLen(b []byte, kind byte, n int) []byte {
	b = append(b, kind)
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, "\r\n"...)
}
