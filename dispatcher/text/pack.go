package text

// filler ends packed text whose last seven bits would otherwise read as '@'
// (3GPP TS 23.038 §6.1.2.3.1).
const filler = 0x0D

// pack appends encoded text as it travels. Packed septets begin at the first
// septet boundary after a header of so many octets (3GPP TS 23.040 §9.2.3.24).
func (a *alphabet) pack(dst, b []byte, header int) []byte {
	if !a.packed {
		if dst == nil {
			return b
		}
		return append(dst, b...)
	}
	fill := fillBits(header)
	if (len(b)*7+fill)%8 == 1 {
		b = append(b[:len(b):len(b)], filler)
	}
	acc, bits := uint(0), fill
	for _, c := range b {
		acc |= uint(c) << bits
		for bits += 7; bits >= 8; bits -= 8 {
			dst = append(dst, byte(acc))
			acc >>= 8
		}
	}
	if bits > 0 {
		dst = append(dst, byte(acc))
	}
	return dst
}

// fillBits is what lies between a header and the next septet boundary.
func fillBits(header int) int { return (7 - header*8%7) % 7 }

// Unpack returns one octet per septet of packed user data without its header,
// which was header octets long. A carriage return in the last seven bits of
// the last octet is taken for the filler that it most likely is.
func Unpack(b []byte, header int) []byte {
	fill := fillBits(header)
	n := max(0, (len(b)*8-fill)/7)
	out := make([]byte, 0, n)
	for at := fill; len(out) < n; at += 7 {
		v := uint(b[at/8]) >> (at % 8)
		if at%8 > 1 {
			v |= uint(b[at/8+1]) << (8 - at%8)
		}
		out = append(out, byte(v&0x7F))
	}
	if n > 0 && (len(b)*8-fill)%7 == 0 && out[n-1] == filler {
		out = out[:n-1]
	}
	return out
}
