package floor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/shortwire-sms/shortwire/bench/internal/load"
)

// SMPP 3.4 §5.1.2.1.
const (
	genericNack         = 0x80000000
	bindTransceiver     = 0x00000009
	bindTransceiverResp = 0x80000009
	submitSM            = 0x00000004
	submitSMResp        = 0x80000004
	deliverSM           = 0x00000005
	deliverSMResp       = 0x80000005
	enquireLink         = 0x00000015
	enquireLinkResp     = 0x80000015
)

// Lengths of frames, in octets.
const (
	headerLen = 16
	maxFrame  = 64 << 10
)

// bind is one transceiver.
type bind struct {
	f     *floor
	w     *wire
	index int

	seq     uint32 // guarded by w.mu
	window  []*job // guarded by w.mu: outstanding by sequence number; its length is a power of two above the window
	pending int    // guarded by w.mu: outstanding
}

// dialBind connects and binds.
func dialBind(ctx context.Context, addr string, index int, f *floor) (*bind, error) {
	w, err := dialWire(ctx, "the SMSC", addr)
	if err != nil {
		return nil, err
	}
	size := 1
	for size <= 2*f.cfg.Window {
		size *= 2
	}
	b := &bind{f: f, w: w, index: index, seq: 1, window: make([]*job, size)}
	if err := b.bind(); err != nil {
		w.conn.Close()
		return nil, fmt.Errorf("bind: %w", err)
	}
	return b, nil
}

func (b *bind) bind() error {
	var p []byte
	p = appendHeader(p, bindTransceiver, 0, 1)
	p = append(p, load.SystemID+"\x00"+load.Password+"\x00\x00\x34\x00\x00\x00"...)
	setLength(p, 0)
	if err := b.w.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := b.w.conn.Write(p); err != nil {
		return err
	}
	frame, err := readFrame(b.w.conn)
	if err != nil {
		return err
	}
	if id, status := commandID(frame), commandStatus(frame); id != bindTransceiverResp || status != 0 {
		return fmt.Errorf("answer %08X with status %08X", id, status)
	}
	return b.w.conn.SetDeadline(time.Time{})
}

// submit writes a job, or reports that the window is full.
func (b *bind) submit(j *job) bool {
	ok := false
	b.w.add(func(p []byte) []byte {
		if b.pending == b.f.cfg.Window {
			return p
		}
		mask := uint32(len(b.window) - 1)
		for {
			b.seq = b.seq%0x7FFFFFFF + 1
			if b.window[b.seq&mask] == nil {
				break
			}
		}
		b.window[b.seq&mask] = j
		b.pending++
		ok = true
		j.bind, j.written = b.index, time.Now()
		return appendSubmit(p, b.seq, j)
	})
	return ok
}

// appendSubmit appends a submit_sm (SMPP 3.4 §4.4.1).
func appendSubmit(p []byte, seq uint32, j *job) []byte {
	at := len(p)
	p = appendHeader(p, submitSM, 0, seq)
	p = append(p, "\x00\x05\x00"+load.Source+"\x00\x01\x01"...)
	p = append(p, j.to...)
	p = append(p, "\x00"+ // end of destination_addr
		"\x00\x00\x00"+ // esm_class, protocol_id, priority_flag
		"\x00\x00"+ // schedule_delivery_time, validity_period
		"\x01\x00\x00\x00"...) // registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id
	p = append(p, byte(len(j.text)))
	p = append(p, j.text...)
	setLength(p, at)
	return p
}

// readLoop reads PDUs and begins what follows from each.
func (b *bind) readLoop() error {
	buf := make([]byte, 4*maxFrame)
	have := 0
	for {
		n, err := b.w.conn.Read(buf[have:])
		if err != nil {
			return fmt.Errorf("read from the SMSC: %w", err)
		}
		have += n
		rest := buf[:have]
		for len(rest) >= headerLen {
			size := int(binary.BigEndian.Uint32(rest))
			if size < headerLen || size > maxFrame {
				return fmt.Errorf("frame of %d octets", size)
			}
			if len(rest) < size {
				break
			}
			if err := b.handle(rest[:size]); err != nil {
				return err
			}
			rest = rest[size:]
		}
		have = copy(buf, rest)
	}
}

func (b *bind) handle(frame []byte) error {
	seq := binary.BigEndian.Uint32(frame[12:])
	switch commandID(frame) {
	case submitSMResp:
		j, err := b.take(seq)
		if err != nil {
			return err
		}
		if s := commandStatus(frame); s != 0 {
			return fmt.Errorf("submit_sm refused with status %08X", s)
		}
		j.latency = time.Since(j.written)
		j.smsc, _, _ = strings.Cut(string(frame[headerLen:]), "\x00")
		b.f.answered(j)
	case deliverSM:
		raw, err := shortMessage(frame[headerLen:])
		if err != nil {
			return fmt.Errorf("deliver_sm: %w", err)
		}
		b.f.redis.resolve(&receipt{bind: b, seq: seq, raw: raw, id: field(raw, "id:")})
	case enquireLink:
		b.answer(enquireLinkResp, seq)
	case enquireLinkResp:
	default:
		return fmt.Errorf("unexpected PDU %08X with status %08X", commandID(frame), commandStatus(frame))
	}
	return nil
}

// take gives the slot of a sequence number free.
func (b *bind) take(seq uint32) (*job, error) {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	slot := &b.window[seq&uint32(len(b.window)-1)]
	j := *slot
	if j == nil {
		return nil, fmt.Errorf("response to sequence number %d, which is not outstanding", seq)
	}
	*slot = nil
	b.pending--
	return j, nil
}

// answer writes a response with nothing but, for deliver_sm_resp, an empty message id.
func (b *bind) answer(id, seq uint32) {
	b.w.add(func(p []byte) []byte {
		at := len(p)
		p = appendHeader(p, id, 0, seq)
		if id == deliverSMResp {
			p = append(p, 0)
		}
		setLength(p, at)
		return p
	})
}

// shortMessage skips to short_message in the body of a deliver_sm (SMPP 3.4 §4.6.1).
func shortMessage(body []byte) (string, error) {
	errShort := errors.New("it ends too early")
	skip := func(fixed, strs int) error {
		if len(body) < fixed {
			return errShort
		}
		body = body[fixed:]
		for range strs {
			_, rest, ok := strings.Cut(string(body), "\x00")
			if !ok {
				return errShort
			}
			body = body[len(body)-len(rest):]
		}
		return nil
	}
	// service_type | TON NPI source_addr | TON NPI destination_addr | esm_class
	// protocol_id priority_flag, two times | registered_delivery … sm_default_msg_id
	if err := errors.Join(skip(0, 1), skip(2, 1), skip(2, 1), skip(3, 2), skip(4, 0)); err != nil {
		return "", err
	}
	if len(body) < 1 || len(body) < 1+int(body[0]) {
		return "", errShort
	}
	return string(body[1 : 1+int(body[0])]), nil
}

// field is the value after a key of a receipt's text (SMPP 3.4 Appendix B).
func field(raw, key string) string {
	_, v, ok := strings.Cut(raw, key)
	if !ok {
		return ""
	}
	v, _, _ = strings.Cut(v, " ")
	return v
}

func readFrame(r io.Reader) ([]byte, error) {
	header := make([]byte, headerLen)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header)
	if size < headerLen || size > maxFrame {
		return nil, fmt.Errorf("frame of %d octets", size)
	}
	frame := append(header, make([]byte, size-headerLen)...)
	_, err := io.ReadFull(r, frame[headerLen:])
	return frame, err
}

func appendHeader(p []byte, id, status, seq uint32) []byte {
	p = binary.BigEndian.AppendUint32(p, 0)
	p = binary.BigEndian.AppendUint32(p, id)
	p = binary.BigEndian.AppendUint32(p, status)
	return binary.BigEndian.AppendUint32(p, seq)
}

func setLength(p []byte, at int) { binary.BigEndian.PutUint32(p[at:], uint32(len(p)-at)) }

func commandID(frame []byte) uint32     { return binary.BigEndian.Uint32(frame[4:]) }
func commandStatus(frame []byte) uint32 { return binary.BigEndian.Uint32(frame[8:]) }
