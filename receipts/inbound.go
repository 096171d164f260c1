package receipts

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

// maxPartOctets bounds what is taken for one part of several. The longest that
// a handset makes are 153 septets, an octet each (3GPP TS 23.040 §9.2.3.24.1);
// with it the longest joined message fits a NATS message of 1 MiB.
const maxPartOctets = 255

// inbound publishes a mobile-originated message, or keeps it for the other
// parts of its text. Two equal messages may be meant as two, so each gets an
// id of its own; one that the SMSC repeats after a refusal may appear twice.
func (d *Desk) inbound(ctx context.Context, route, bind string, m *sms.Message) error {
	data := allUserData(m)
	r, part := d.route(route), inboundPart{
		Bind: bind, From: m.Source.Addr, To: m.Destination.Addr, DataCoding: m.DataCoding, ESMClass: m.ESMClass, Data: data,
	}
	c, ok := concatOf(m, data)
	if !ok {
		return d.publishInbound(ctx, part.alone(route, r.Alphabet))
	}
	part.Reference = c.reference
	if r.JoinTimeout > 0 && len(data) <= maxPartOctets {
		if kept, err := d.join(ctx, route, c, &part); kept || err != nil {
			return err
		}
	}
	in := assemble(route, r.Alphabet, c.total, map[int]*inboundPart{c.number: &part})
	in.ID, in.Time = "i."+rand.Text(), time.Now().UTC()
	return d.publishInbound(ctx, in)
}

func (d *Desk) publishInbound(ctx context.Context, in *sms.Inbound) error {
	counters := d.route(in.Route).counters
	a := d.arrives(in)
	if err := d.arrived(a, d.pub.PublishInbound(ctx, in)); err != nil {
		counters.publishErrors.Add(1)
		return fmt.Errorf("publish inbound message: %w", err)
	}
	counters.inbound.Add(1)
	if len(in.PartsMissing) > 0 {
		counters.incomplete.Add(1)
	}
	return nil
}

// inboundPart is a message as it waits in Redis for the other parts.
type inboundPart struct {
	Bind       string `json:"b"`
	From       string `json:"f"`
	To         string `json:"t"`
	DataCoding uint8  `json:"c"`
	ESMClass   uint8  `json:"e"`
	Reference  uint16 `json:"r"`
	Data       []byte `json:"d"`
}

// header is the length of the part's user data header.
func (p *inboundPart) header() int {
	if p.ESMClass&sms.ESMClassUDHI == 0 {
		return 0
	}
	return headerLen(p.Data)
}

func (p *inboundPart) received() text.Received {
	n := p.header()
	return text.Received{DataCoding: p.DataCoding, Octets: p.Data[n:], Header: n}
}

// alone is the part as a message of one.
func (p *inboundPart) alone(route string, alphabet text.Alphabet) *sms.Inbound {
	in := &sms.Inbound{
		ID: "i." + rand.Text(), Route: route, Bind: p.Bind, Time: time.Now().UTC(), From: p.From, To: p.To,
		Data: p.Data, DataCoding: p.DataCoding, ESMClass: p.ESMClass,
	}
	in.Text, _ = alphabet.DecodeParts([]text.Received{p.received()})
	return in
}

// assemble makes one message of the parts that came, one at least. It has
// neither id nor time. The first part speaks for all in what is not text.
func assemble(route string, alphabet text.Alphabet, total int, came map[int]*inboundPart) *sms.Inbound {
	in := &sms.Inbound{Route: route, PartsTotal: total}
	var all strings.Builder
	var run []text.Received // parts that follow each other
	readable := true
	end := func() {
		s, ok := alphabet.DecodeParts(run)
		all.WriteString(s)
		readable, run = readable && ok, run[:0]
	}
	for n := 1; n <= total; n++ {
		p := came[n]
		if p == nil {
			in.PartsMissing = append(in.PartsMissing, n)
			end()
			continue
		}
		if len(in.Parts) == 0 {
			in.Bind, in.From, in.To, in.DataCoding, in.ESMClass = p.Bind, p.From, p.To, p.DataCoding, p.ESMClass
			in.Reference = &p.Reference
		}
		r := p.received()
		run = append(run, r)
		in.Data = append(in.Data, r.Octets...)
		in.Parts = append(in.Parts, sms.InboundPart{Number: n, Data: p.Data})
	}
	end()
	if readable {
		in.Text = all.String()
	}
	return in
}

// concat is what a part says of the text that it is from.
type concat struct {
	scheme    byte // how it says so: concat8, concat16 or sar
	reference uint16
	total     int // 2..255
	number    int // 1..total
}

// Schemes; the first two are information elements of the user data header (3GPP
// TS 23.040 §9.2.3.24.1, §9.2.3.24.8).
const (
	concat8  = 0x00
	concat16 = 0x08
	sar      = 0xFF
)

// concatOf reads the header, or else the sar_* parameters (SMPP 3.4 §5.3.2.22
// to §5.3.2.24). It is not ok for a message of one part, and for parts that
// there cannot be: those say nothing (TS 23.040 §9.2.3.24.1).
func concatOf(m *sms.Message, data []byte) (c concat, ok bool) {
	if n := headerOf(m, data); n > 0 {
		c, ok = headerConcat(data[1:n])
	}
	if !ok {
		c, ok = sarConcat(m)
	}
	return c, ok && c.total > 1
}

// headerConcat reads a well-formed header without its length. Of an element
// that is there twice the last counts (TS 23.040 §9.2.3.24).
func headerConcat(header []byte) (c concat, ok bool) {
	for len(header) > 0 {
		element, v := header[0], header[2:2+header[1]]
		header = header[2+len(v):]
		switch {
		case element == concat8 && len(v) == 3:
			v = []byte{0, v[0], v[1], v[2]}
		case element == concat16 && len(v) == 4:
		default:
			continue
		}
		next := concat{scheme: element, reference: binary.BigEndian.Uint16(v), total: int(v[2]), number: int(v[3])}
		if next.possible() {
			c, ok = next, true
		}
	}
	return c, ok
}

func sarConcat(m *sms.Message) (c concat, ok bool) {
	reference, _ := m.TLV(sms.TagSarMsgRefNum)
	total, _ := m.TLV(sms.TagSarTotalSegs)
	number, _ := m.TLV(sms.TagSarSegmentSeq)
	if len(reference) != 2 || len(total) != 1 || len(number) != 1 {
		return concat{}, false
	}
	c = concat{scheme: sar, reference: binary.BigEndian.Uint16(reference), total: int(total[0]), number: int(number[0])}
	return c, c.possible()
}

func (c *concat) possible() bool { return 1 <= c.number && c.number <= c.total }
