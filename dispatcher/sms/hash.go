package sms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// hashOctets are kept of a number's hash: enough to tell a few thousand million
// numbers apart.
const hashOctets = 8

// HashNumber names a number for whoever has the key: the first 16 hexadecimal
// digits of HMAC-SHA-256 over its digits, which are the same with and without a
// leading + or 00.
func HashNumber(key []byte, number string) string {
	digits := strings.TrimPrefix(strings.TrimPrefix(number, "+"), "00")
	h := hmac.New(sha256.New, key)
	h.Write([]byte(digits))
	return hex.EncodeToString(h.Sum(nil)[:hashOctets])
}

// Masker makes numbers fit for logs and traces. Its zero value is MaskNumber.
type Masker struct {
	Key []byte // of the hash beside the mask; empty: none
}

// Mask is MaskNumber and, with a key, "#" and the number's hash behind what it
// hides: 447*******23#9f86d081884c7d65.
func (m Masker) Mask(number string) string {
	masked := MaskNumber(number)
	if len(m.Key) == 0 || masked == number {
		return masked
	}
	return masked + "#" + HashNumber(m.Key, number)
}
