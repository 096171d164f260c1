package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// dumpLine is one line of a hexdump.
type dumpLine struct {
	indent int
	offset string // digits, without 0x
	at     int    // the offset as a hexadecimal number
	octets []byte
}

// maxDumpOctets is the most that tools without a colon put on a line.
const maxDumpOctets = 16

// parseDumpLine reads a line of hexdump -C, od -t x1 and Wireshark (an offset,
// then pairs of digits) or of xxd and tcpdump (an offset with a colon, then
// groups of them), each with or without its column of characters.
func parseDumpLine(line string) (dumpLine, bool) {
	rest := strings.TrimLeft(line, " \t")
	l := dumpLine{indent: len(line) - len(rest)}
	n := strings.IndexAny(rest, " \t:")
	if n < 0 {
		return l, false
	}
	l.offset = strings.TrimPrefix(rest[:n], "0x")
	var ok bool
	if l.at, ok = hexOffset(l.offset); !ok || len(l.offset) < 4 {
		return l, false
	}
	if rest[n] == ':' {
		rest = rest[n+1:]
		if rest == "" || rest[0] != ' ' && rest[0] != '\t' {
			return l, false // 00:00:00:10
		}
		groups, _, _ := strings.Cut(strings.TrimLeft(rest, " \t"), "  ")
		octets, err := hex.DecodeString(strings.ReplaceAll(groups, " ", ""))
		l.octets = octets
		return l, err == nil && len(octets) > 0
	}
	l.octets, ok = parsePairs(rest[n:])
	return l, ok
}

// parsePairs reads pairs of digits up to a wide gap. hexdump -C has a narrow
// one after the eighth.
func parsePairs(s string) ([]byte, bool) {
	var octets []byte
	for len(octets) < maxDumpOctets {
		trimmed := strings.TrimLeft(s, " \t")
		gap := len(s) - len(trimmed)
		if trimmed == "" || gap == 0 || gap > 1 && len(octets) > 0 && (gap > 2 || len(octets) != 8) {
			break
		}
		pair, _, _ := strings.Cut(trimmed, " ")
		b, err := hex.DecodeString(pair)
		if err != nil || len(b) != 1 {
			// A column of characters may follow; a hexdump has pairs before it.
			return octets, len(octets) > 0 && gap > 1
		}
		octets = append(octets, b[0])
		s = trimmed[len(pair):]
	}
	return octets, len(octets) > 0
}

// hexOffset reads an offset.
func hexOffset(s string) (int, bool) {
	if len(s) > 15 {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 16, 60)
	return int(n), err == nil
}

// isOffset reports whether s is the offset n, in hexadecimal or octal.
func isOffset(s string, n int) bool {
	if at, ok := hexOffset(strings.TrimPrefix(s, "0x")); ok && at == n {
		return true
	}
	at, err := strconv.ParseUint(s, 8, 60)
	return err == nil && len(s) >= 6 && int(at) == n
}

// isCaption reports whether a line is what tcpdump or Wireshark writes about a
// packet.
func isCaption(line string) bool {
	if strings.Contains(line, " > ") || strings.HasPrefix(line, "No. ") || strings.HasPrefix(line, "Frame ") {
		return true
	}
	for _, w := range strings.Fields(line) {
		if w == "SMPP" || w == "TCP" || w == "IP" || w == "IP6" {
			return true
		}
	}
	return false
}

// parseHex reads hexadecimal digits with anything usual between them. With an
// error come the octets before it.
func parseHex(s string) ([]byte, error) {
	octets := make([]byte, 0, len(s)/2)
	high, half := byte(0), false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c == ':' || c == ',' || c == ';' || c == '-' || c == '"' || c == '\'':
			continue
		case !half && (c == '0' || c == '\\') && i+1 < len(s) && s[i+1]|0x20 == 'x':
			i++
			continue
		}
		n, ok := nibble(c)
		if !ok {
			return octets, fmt.Errorf("character %d is no hexadecimal digit", i+1)
		}
		if half {
			octets = append(octets, high<<4|n)
		}
		high, half = n, !half
	}
	if half {
		return octets, fmt.Errorf("%d hexadecimal digits: the last octet has only one", 2*len(octets)+1)
	}
	return octets, nil
}

func nibble(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// packet is what a captured packet says of TCP.
type packet struct {
	flow     string // addresses and ports, in one direction
	sequence uint32
	syn      bool
	payload  []byte
}

// parsePacket reads TCP over IP, with or without a link header: Ethernet, with
// a VLAN or not, Linux "any" (both kinds) or BSD loopback. No PDU begins like
// one of them.
func parsePacket(b []byte) (packet, bool) {
	at := func(i int) uint16 {
		if i+2 > len(b) {
			return 0
		}
		return binary.BigEndian.Uint16(b[i:])
	}
	const ipv4, ipv6, vlan = 0x0800, 0x86DD, 0x8100
	isIP := func(i int) bool { return at(i) == ipv4 || at(i) == ipv6 }
	skip := 0
	switch {
	case len(b) < 40:
		return packet{}, false
	case b[0]>>4 == 4 || b[0]>>4 == 6:
	case isIP(12):
		skip = 14
	case at(12) == vlan && isIP(16):
		skip = 18
	case isIP(14) && b[0] == 0:
		skip = 16
	case isIP(0):
		skip = 20
	case binary.BigEndian.Uint32(b) == 2 || binary.LittleEndian.Uint32(b) == 2 || binary.LittleEndian.Uint32(b) == 30:
		skip = 4
	default:
		return packet{}, false
	}
	return parseIP(b[skip:])
}

func parseIP(b []byte) (packet, bool) {
	const tcp = 6
	if len(b) < 20 {
		return packet{}, false
	}
	var from, to netip.Addr
	var total, header int
	switch b[0] >> 4 {
	case 4:
		header, total = int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
		if header < 20 || b[9] != tcp {
			return packet{}, false
		}
		from, _ = netip.AddrFromSlice(b[12:16])
		to, _ = netip.AddrFromSlice(b[16:20])
	case 6:
		if len(b) < 40 || b[6] != tcp {
			return packet{}, false
		}
		header, total = 40, 40+int(binary.BigEndian.Uint16(b[4:]))
		from, _ = netip.AddrFromSlice(b[8:24])
		to, _ = netip.AddrFromSlice(b[24:40])
	default:
		return packet{}, false
	}
	if total > header && total < len(b) {
		b = b[:total] // short frames are padded; 0 means that the card cuts segments
	}
	if len(b) < header+20 {
		return packet{}, false
	}
	t := b[header:]
	data := int(t[12]>>4) * 4
	if data < 20 || data > len(t) {
		return packet{}, false
	}
	return packet{
		flow:     fmt.Sprintf("%s:%d>%s:%d", from, binary.BigEndian.Uint16(t), to, binary.BigEndian.Uint16(t[2:])),
		sequence: binary.BigEndian.Uint32(t[4:]),
		syn:      t[13]&2 != 0,
		payload:  t[data:],
	}, true
}
