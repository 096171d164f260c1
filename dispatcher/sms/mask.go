package sms

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Masking limits.
const (
	maxSenderChars  = 11 // an alphanumeric address (3GPP TS 23.040 §9.1.2.5)
	maxSenderDigits = 5  // more digits than a short code may be a person's number
	maxStars        = 15
)

// MaskNumber makes an address fit for logs and error texts: the first three
// and the last two digits stay, "+447700900123" becomes "+447*******23".
// Sender names and short codes of up to five digits are not personal and stay.
func MaskNumber(s string) string {
	if utf8.RuneCountInString(s) <= maxSenderChars && digits(s) <= maxSenderDigits {
		return s
	}
	plus := ""
	if strings.HasPrefix(s, "+") {
		plus, s = "+", s[1:]
	}
	r := []rune(s)
	hidden := len(r) - 5
	return plus + string(r[:3]) + strings.Repeat("*", min(hidden, maxStars)) + string(r[len(r)-2:])
}

// quote shows a refused value in an error text, unless it is long or could be
// somebody's number: then only its size.
func quote(s string) string {
	if n := utf8.RuneCountInString(s); n > 16 || digits(s) > maxSenderDigits {
		return "a value of " + strconv.Itoa(n) + " characters"
	}
	return strconv.QuoteToASCII(s)
}

func digits(s string) int {
	n := 0
	for _, r := range s {
		if unicode.IsDigit(r) {
			n++
		}
	}
	return n
}
