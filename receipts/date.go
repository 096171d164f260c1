package receipts

import (
	"strconv"
	"strings"
	"time"
)

// ParseDate reads a date of a receipt. It returns nil for what is no date: all
// zeros, a month 13, free text. Dates without an offset are taken as UTC.
//
// Appendix B has ten digits (YYMMDDhhmm). Also seen: twelve with seconds,
// twelve or fourteen with a four-digit year, the sixteen of SMPP 3.4 §7.1.1.1
// with an offset in quarters of an hour, and ISO 8601: YYYY-MM-DD, a blank or T,
// hh:mm, perhaps seconds, their fraction, and an offset.
func ParseDate(s string) *time.Time {
	if t, ok := parseDate(s); ok {
		return &t
	}
	return nil
}

// leadingDate reads the date that s begins with, before whatever fields an SMSC
// of its own adds. One blank may belong to the date.
func leadingDate(s string) (t time.Time, ok bool) {
	if t, ok = parseDate(s); ok || s == "" {
		return t, ok
	}
	for end := range min(len(s), longestISO+1) {
		if end > 0 && strings.IndexByte(separators, s[end]) >= 0 {
			if t, ok = parseDate(s[:end]); ok {
				return t, true
			}
		}
	}
	return time.Time{}, false
}

func parseDate(s string) (t time.Time, ok bool) {
	if len(s) >= 16 && s[4] == '-' {
		return parseISO(s)
	}
	switch len(s) {
	case 10:
		return parseDigits(s, 2)
	case 12:
		if t, ok := parseDigits(s, 2); ok {
			return t, true
		}
		return parseDigits(s, 4)
	case 14:
		return parseDigits(s, 4)
	case 16:
		return parseSMPPTime(s)
	}
	return time.Time{}, false
}

// parseDigits reads a year of so many digits, then MMDDhhmm and perhaps ss.
// Two-digit years follow Go's pivot: 69 to 99 are of the last century. What
// time.Parse does here costs five times as much, twice for each receipt.
func parseDigits(s string, yearDigits int) (t time.Time, ok bool) {
	if !isDigits(s) {
		return time.Time{}, false
	}
	year := pair(s)
	switch {
	case yearDigits == 4:
		year = 100*year + pair(s[2:])
	case year >= 69:
		year += 1900
	default:
		year += 2000
	}
	s = s[yearDigits:]
	month, day, hour, minute, second := time.Month(pair(s)), pair(s[2:]), pair(s[4:]), pair(s[6:]), 0
	if len(s) > 8 {
		second = pair(s[8:])
	}
	t = time.Date(year, month, day, hour, minute, second, 0, time.UTC)
	if t.Month() != month || t.Day() != day || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false // not in the calendar: time.Date went on to the next day or month
	}
	return t, true
}

// pair is the number of two digits.
func pair(s string) int { return int(s[0]-'0')*10 + int(s[1]-'0') }

// longestISO is 2026-03-01T12:00:00.123456789 +01:00.
const longestISO = 36

// isoLayouts are what may follow date and blank or T. time.Parse takes a
// fraction of a second wherever seconds are.
var isoLayouts = [...]string{
	"15:04:05", "15:04:05Z07:00", "15:04:05Z0700", "15:04:05 -07:00", "15:04:05 -0700", "15:04", "15:04Z07:00",
}

func parseISO(s string) (t time.Time, ok bool) {
	if len(s) > longestISO || s[10] != ' ' && s[10] != 'T' && s[10] != 't' {
		return time.Time{}, false
	}
	day, err := time.Parse(time.DateOnly, s[:10])
	if err != nil {
		return time.Time{}, false
	}
	for _, layout := range isoLayouts {
		clock, err := time.Parse(layout, strings.ToUpper(s[11:]))
		if err != nil {
			continue
		}
		hour, minute, second := clock.Clock()
		t = time.Date(day.Year(), day.Month(), day.Day(), hour, minute, second, clock.Nanosecond(), clock.Location()).UTC()
		if t.Year() < 1 || t.Year() > 9999 {
			return time.Time{}, false // a result could not carry it
		}
		return t, true
	}
	return time.Time{}, false
}

// parseSMPPTime reads YYMMDDhhmmsstnnp: tenths of a second, then the quarters
// of an hour that local time is ahead of (+) or behind (-) UTC.
func parseSMPPTime(s string) (t time.Time, ok bool) {
	quarters, err := strconv.Atoi(s[13:15])
	if err != nil || quarters > 48 || s[12] < '0' || s[12] > '9' {
		return time.Time{}, false
	}
	offset := time.Duration(quarters) * 15 * time.Minute
	switch s[15] {
	case '+':
	case '-':
		offset = -offset
	default:
		return time.Time{}, false
	}
	t, ok = parseDigits(s[:12], 2)
	if !ok {
		return time.Time{}, false
	}
	at := t.Add(time.Duration(s[12]-'0') * 100 * time.Millisecond).Add(-offset)
	return at, true
}
