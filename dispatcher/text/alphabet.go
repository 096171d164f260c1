package text

import (
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// escape leads to the extension table (3GPP TS 23.038 §6.2.1.1).
const escape = 0x1B

// gsm7Runes is the GSM 7-bit default alphabet by code (3GPP TS 23.038 §6.2.1).
// Code 0x1B is the escape; on its own a receiver shows a space.
var gsm7Runes = [128]rune{
	'@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å',
	'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', ' ', 'Æ', 'æ', 'ß', 'É',
	' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/',
	'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?',
	'¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O',
	'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§',
	'¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
	'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
}

// gsm7Extension is the extension table (3GPP TS 23.038 §6.2.1.1), a code behind
// an escape.
var gsm7Extension = [128]rune{
	0x0A: '\f', 0x14: '^', 0x28: '{', 0x29: '}', 0x2F: '\\', 0x3C: '[', 0x3D: '~', 0x3E: ']', 0x40: '|', 0x65: '€',
}

// A septet says how a character is written: 0 not at all, else the code with
// known set, and extended when an escape goes before it.
type septet uint16

const (
	known    septet = 0x100
	extended septet = 0x200
)

// gsm7Codes covers every character of the alphabet but the euro sign, which
// lies far beyond the others.
var gsm7Codes = func() (t [0x400]septet) {
	for code, r := range gsm7Runes {
		if code != escape {
			t[r] = known | septet(code)
		}
	}
	for code, r := range gsm7Extension {
		if r != 0 && r != '€' {
			t[r] = known | extended | septet(code)
		}
	}
	return t
}()

func gsm7Code(r rune) septet {
	if uint32(r) < uint32(len(gsm7Codes)) {
		return gsm7Codes[r]
	}
	if r == '€' {
		return known | extended | 0x65
	}
	return 0
}

// plainCodes is gsm7Codes for an octet of UTF-8 that is a character of one
// septet; notPlain for all others.
var plainCodes = func() (t [256]byte) {
	for c := range t {
		t[c] = notPlain
		if c < utf8.RuneSelf && gsm7Codes[c]&^0x7F == known {
			t[c] = byte(gsm7Codes[c])
		}
	}
	return t
}()

const notPlain = 0xFF

// appendGSM7 appends s as unpacked septets. It stops at a character that is not
// in the alphabet and returns its offset in s, else -1.
func appendGSM7(b []byte, s string) ([]byte, int) {
	b = slices.Grow(b, len(s))
	plain, out := 0, b[len(b):len(b)+len(s)]
	for ; plain < len(out); plain++ {
		code := plainCodes[s[plain]]
		if code == notPlain {
			break
		}
		out[plain] = code
	}
	b = b[:len(b)+plain]
	for i, r := range s[plain:] {
		c := gsm7Code(r)
		switch {
		case c&extended != 0:
			b = append(b, escape, byte(c))
		case c != 0:
			b = append(b, byte(c))
		default:
			return b, plain + i
		}
	}
	return b, -1
}

// appendLatin1 is appendGSM7 for ISO 8859-1, one octet per character.
func appendLatin1(b []byte, s string) ([]byte, int) {
	for i, r := range s {
		if r > 0xFF {
			return b, i
		}
		b = append(b, byte(r))
	}
	return b, -1
}

// appendUCS2 is appendGSM7 for UTF-16BE: characters beyond U+FFFF become
// surrogate pairs, which handsets read though UCS-2 has none. Only invalid
// UTF-8 does not fit.
func appendUCS2(b []byte, s string) ([]byte, int) {
	for i, r := range s {
		if r < 0x10000 {
			if r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
				return b, i
			}
			b = append(b, byte(r>>8), byte(r))
			continue
		}
		hi, lo := utf16.EncodeRune(r)
		b = append(b, byte(hi>>8), byte(hi), byte(lo>>8), byte(lo))
	}
	return b, -1
}
