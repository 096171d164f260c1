package text

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Alphabet is what an SMSC takes the octets behind data_coding 0, its default
// alphabet, for (SMPP 3.4 §5.2.19). Whatever it is, such a message reaches the
// handset as GSM 7-bit text: only characters of GSM 03.38 are written in it,
// and its length counts in septets.
type Alphabet string

// Alphabets.
const (
	GSM7       Alphabet = "gsm7"        // GSM 03.38, one octet per septet, as most SMSCs want it
	GSM7Packed Alphabet = "gsm7-packed" // GSM 03.38, eight septets in seven octets as on the air
	Latin1     Alphabet = "latin1"      // ISO 8859-1; lacks the euro sign and the Greek letters of GSM 03.38
	ASCII      Alphabet = "ascii"       // lacks all accented letters
)

// An alphabet is one way to write text.
type alphabet struct {
	name     string // for messages
	encoding sms.Encoding
	coding   uint8
	flash    uint8 // data_coding with class 0; 0 when there is none
	narrow   bool  // octets are characters of GSM 03.38, some of which take two septets
	packed   bool  // eight septets in seven octets
	append   func(b []byte, s string) ([]byte, int)
}

var (
	gsm7       = &alphabet{name: "gsm7", encoding: sms.EncodingGSM7, coding: codingGSM7, flash: codingGSM7Flash, append: appendGSM7}
	gsm7Packed = &alphabet{name: "gsm7", encoding: sms.EncodingGSM7, coding: codingGSM7, flash: codingGSM7Flash, append: appendGSM7, packed: true}
	gsm7Latin1 = &alphabet{
		name: "both gsm7 and latin1, the route's alphabet", encoding: sms.EncodingGSM7, coding: codingGSM7, flash: codingGSM7Flash, narrow: true,
		append: func(b []byte, s string) ([]byte, int) { return appendNarrow(b, s, 0xFF) },
	}
	gsm7ASCII = &alphabet{
		name: "both gsm7 and ascii, the route's alphabet", encoding: sms.EncodingGSM7, coding: codingGSM7, flash: codingGSM7Flash, narrow: true,
		append: func(b []byte, s string) ([]byte, int) { return appendNarrow(b, s, 0x7F) },
	}
	latin1 = &alphabet{name: "latin1", encoding: sms.EncodingLatin1, coding: codingLatin1, append: appendLatin1}
	ucs2   = &alphabet{name: "ucs2", encoding: sms.EncodingUCS2, coding: codingUCS2, flash: codingUCS2Flash, append: appendUCS2}
)

// behindZero returns how to write text with data_coding 0.
func (a Alphabet) behindZero() (*alphabet, error) {
	switch a {
	case "", GSM7:
		return gsm7, nil
	case GSM7Packed:
		return gsm7Packed, nil
	case Latin1:
		return gsm7Latin1, nil
	case ASCII:
		return gsm7ASCII, nil
	}
	return nil, fmt.Errorf("unknown alphabet %q", a)
}

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

// appendNarrow is appendGSM7 for an SMSC whose default alphabet is the first
// codes of Latin-1: it writes those characters of GSM 03.38 as one octet each.
// Others would not survive the SMSC's conversion for the air.
func appendNarrow(b []byte, s string, highest rune) ([]byte, int) {
	for i, r := range s {
		if r > highest || gsm7Code(r) == 0 {
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
