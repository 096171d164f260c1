package main

import (
	"cmp"
	"maps"
	"slices"
)

// stream is octets in which PDU follows PDU.
type stream struct {
	buf  []byte // an incomplete PDU
	base int    // offset of buf in the stream
	line int    // where it began
	lost bool   // out of step: nothing more can be read
}

// add decodes what is complete.
func (s *stream) add(d *dumpReader, octets []byte) {
	if s.lost {
		return
	}
	s.buf = append(s.buf, octets...)
	at := 0
	for at < len(s.buf) && d.decoder.Ready(s.buf[at:]) {
		p, n := d.decoder.Decode(s.buf[at:], s.base+at)
		d.print(&p, s.line)
		at += n
		s.lost = p.Command == ""
	}
	s.base += at
	s.buf = append(s.buf[:0], s.buf[at:]...)
}

// end prints what is left, an incomplete PDU.
func (s *stream) end(d *dumpReader) {
	if len(s.buf) > 0 {
		p, _ := d.decoder.Decode(s.buf, s.base)
		d.print(&p, s.line)
	}
	s.buf = nil
}

// dump is one hexdump: of a packet, or of what a connection carried.
type dump struct {
	stream
	next    int    // offset that the next line should have
	line16  []byte // the last line, for "*"
	repeats bool   // a "*" came
	held    []byte // not decided yet: packet or stream
	raw     bool   // decided: a stream
}

func (o *dump) add(d *dumpReader, octets []byte) {
	o.next += len(octets)
	o.line16 = append(o.line16[:0], octets...)
	if o.raw {
		o.stream.add(d, octets)
		return
	}
	o.held = append(o.held, octets...)
	_, packet := parsePacket(o.held)
	switch {
	case packet && len(o.held) <= maxPacketOctets || len(o.held) < undecidedOctets:
	default:
		o.decide(d)
	}
}

// decide takes the dump for a stream.
func (o *dump) decide(d *dumpReader) {
	o.raw = true
	o.stream.add(d, o.held)
	o.held = nil
}

func (o *dump) end(d *dumpReader) {
	if p, packet := parsePacket(o.held); packet && !o.raw {
		d.takePacket(p, o.line)
		o.held = nil
		return
	}
	if !o.raw {
		o.decide(d)
	}
	o.stream.end(d)
}

// follows reports whether a line with this offset is the next one. od writes
// its offsets in octal.
func (o *dump) follows(offset string) bool {
	return !o.repeats && isOffset(offset, o.next)
}

// fill repeats the last line up to an offset after a "*".
func (o *dump) fill(d *dumpReader, offset string) bool {
	at, ok := hexOffset(offset)
	if !o.repeats || !ok || len(o.line16) == 0 || at <= o.next || at-o.next > maxRepeatOctets {
		return false
	}
	o.repeats = false
	again := slices.Clone(o.line16)
	for o.next+len(again) <= at {
		o.add(d, again)
	}
	return o.next == at
}

// flow is one direction of a captured TCP connection.
type flow struct {
	stream
	began bool
	next  uint32 // sequence number of the next octet
}

// takePacket adds what a packet carries to its connection. What was sent
// twice counts once; what is missing ends the PDU that it was in.
func (d *dumpReader) takePacket(p packet, line int) {
	f := d.flows[p.flow]
	if f == nil {
		f = &flow{}
		d.flows[p.flow] = f
	}
	if p.syn {
		f.stream.end(d)
		*f = flow{began: true, next: p.sequence + 1}
	}
	if len(p.payload) == 0 {
		return
	}
	ahead := int32(p.sequence - f.next)
	switch {
	case f.began && ahead < 0 && int(-ahead) >= len(p.payload):
		return
	case f.began && ahead < 0:
		p.payload = p.payload[-ahead:]
		p.sequence += uint32(-ahead)
	case !f.began || ahead > 0 || f.lost:
		f.stream.end(d)
		f.stream, f.began = stream{}, true
	}
	if len(f.buf) == 0 {
		f.line = line
	}
	f.next = p.sequence + uint32(len(p.payload))
	f.stream.add(d, p.payload)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
