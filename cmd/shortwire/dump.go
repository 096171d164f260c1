package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

const (
	// maxLineOctets bounds a line: a PDU of 128 KiB with "0x" and ", " about
	// every octet fits many times.
	maxLineOctets = 16 << 20
	// maxRepeatOctets bounds what a "*" of hexdump stands for.
	maxRepeatOctets = 1 << 20
	// undecidedOctets of a hexdump are kept to see whether it is a packet:
	// more than all headers together.
	undecidedOctets = 160
	// plainDigits is how many xxd -p puts on a line.
	plainDigits = 60
	// maxPacketOctets is the largest IP packet with its link header.
	maxPacketOctets = 64<<10 + 64
)

var errLongLine = fmt.Errorf("line is longer than %d octets", maxLineOctets)

// dumpReader finds PDUs in lines of hexadecimal digits and in hexdumps.
type dumpReader struct {
	decoder *app.Decoder
	emit    func(*app.DecodedPDU) error

	line  int           // number of the current line
	dumps map[int]*dump // open hexdumps by indentation, which tells the directions of one capture apart
	last  *dump         // of dumps, the one that the last line belonged to; nil outside hexdumps
	plain *stream       // goes on in the next line of xxd -p; nil when none does
	flows map[string]*flow
	err   error // of emit
}

// read reads all of in. Bad input is printed and never stops it; the error is
// that of reading or printing.
func (d *dumpReader) read(ctx context.Context, in io.Reader) error {
	d.dumps, d.flows = make(map[int]*dump), make(map[string]*flow)
	r := bufio.NewReaderSize(in, 64<<10)
	for ctx.Err() == nil && d.err == nil {
		line, err := readLine(r)
		d.line++
		switch {
		case errors.Is(err, errLongLine):
			d.closeDumps()
			d.closePlain()
			d.fail(0, err)
		case err != nil && !errors.Is(err, io.EOF):
			return fmt.Errorf("read: %w", err)
		default:
			d.take(line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
	}
	d.closeDumps()
	d.closePlain()
	for _, name := range sortedKeys(d.flows) {
		d.flows[name].stream.end(d)
	}
	if d.err != nil {
		return fmt.Errorf("write: %w", d.err)
	}
	return ctx.Err()
}

// readLine returns the next line without its end, and io.EOF with the last.
// What is too long is read to its end and left out.
func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for octets := 0; ; {
		part, err := r.ReadSlice('\n')
		if octets += len(part); octets <= maxLineOctets {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case octets > maxLineOctets:
			return "", errLongLine // io.EOF comes again
		default:
			return strings.TrimRight(string(line), "\r\n"), err
		}
	}
}

// take handles one line.
func (d *dumpReader) take(line string) {
	bare := strings.TrimSpace(line)
	switch {
	case bare == "" || bare[0] == '#':
		d.closeDumps()
		d.closePlain()
		return
	case bare == "*" && d.last != nil:
		d.last.repeats = true
		return
	}
	if l, ok := parseDumpLine(line); ok {
		d.closePlain()
		d.takeDumpLine(l)
		return
	}
	if d.last != nil && (d.last.follows(bare) || d.last.fill(d, bare)) {
		d.closeDumps() // the size, with which hexdump and od end
		return
	}
	d.closeDumps()
	if isCaption(bare) {
		d.closePlain()
		return
	}
	d.takeHex(bare)
}

// takeHex handles a line of digits. Lines are for themselves, but for those
// that xxd -p has cut at plainDigits.
func (d *dumpReader) takeHex(line string) {
	octets, err := parseHex(line)
	wrapped := err == nil && 2*len(octets) == len(line) && len(line) <= plainDigits
	if !wrapped {
		d.closePlain()
	}
	if err != nil {
		d.fail(len(octets), err)
		return
	}
	if d.plain == nil {
		d.plain = &stream{line: d.line}
	}
	d.plain.add(d, octets)
	if !wrapped || len(line) < plainDigits || len(d.plain.buf) == 0 {
		d.closePlain()
	}
}

func (d *dumpReader) closePlain() {
	if d.plain != nil {
		d.plain.end(d)
		d.plain = nil
	}
}

// takeDumpLine adds a line to the hexdump that it goes on, or begins one.
func (d *dumpReader) takeDumpLine(l dumpLine) {
	open := d.dumps[l.indent]
	if open == nil || !open.follows(l.offset) && !open.fill(d, l.offset) {
		if open != nil {
			open.end(d)
		}
		open = &dump{stream: stream{line: d.line}}
		open.next = l.at
		d.dumps[l.indent] = open
	}
	d.last = open
	open.add(d, l.octets)
}

// closeDumps ends all hexdumps.
func (d *dumpReader) closeDumps() {
	for _, indent := range sortedKeys(d.dumps) {
		d.dumps[indent].end(d)
		delete(d.dumps, indent)
	}
	d.last = nil
}

// print prints a PDU, with the line of a fault.
func (d *dumpReader) print(p *app.DecodedPDU, line int) {
	if p.Error != "" {
		p.Line = line
	}
	if d.err == nil {
		d.err = d.emit(p)
	}
}

func (d *dumpReader) fail(offset int, err error) {
	d.print(&app.DecodedPDU{Error: err.Error(), Offset: &offset}, d.line)
}
