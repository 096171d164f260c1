package receipts

import (
	"strconv"
	"time"
)

// ParseDate reads a date of a receipt. It returns nil for what is no date: all
// zeros, a month 13, free text. Dates without an offset are taken as UTC.
//
// Appendix B has ten digits (YYMMDDhhmm). Also seen: twelve with seconds,
// twelve or fourteen with a four-digit year, the sixteen of SMPP 3.4 §7.1.1.1
// with an offset in quarters of an hour, and YYYY-MM-DD hh:mm:ss.
func ParseDate(s string) *time.Time {
	switch len(s) {
	case 10:
		return parseLayouts(s, "0601021504")
	case 12:
		return parseLayouts(s, "060102150405", "200601021504")
	case 14:
		return parseLayouts(s, "20060102150405")
	case 16:
		return parseSMPPTime(s)
	case 19:
		return parseLayouts(s, time.DateTime, "2006-01-02T15:04:05")
	case 20:
		return parseLayouts(s, time.RFC3339)
	}
	return nil
}

// parseLayouts answers with the first layout that fits. Two-digit years follow
// Go's pivot: 69 to 99 are of the last century.
func parseLayouts(s string, layouts ...string) *time.Time {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			t = t.UTC()
			return &t
		}
	}
	return nil
}

// parseSMPPTime reads YYMMDDhhmmsstnnp: tenths of a second, then the quarters
// of an hour that local time is ahead of (+) or behind (-) UTC.
func parseSMPPTime(s string) *time.Time {
	quarters, err := strconv.Atoi(s[13:15])
	if err != nil || quarters > 48 || s[12] < '0' || s[12] > '9' {
		return nil
	}
	offset := time.Duration(quarters) * 15 * time.Minute
	switch s[15] {
	case '+':
	case '-':
		offset = -offset
	default:
		return nil
	}
	t := parseLayouts(s[:12], "060102150405")
	if t == nil {
		return nil
	}
	at := t.Add(time.Duration(s[12]-'0') * 100 * time.Millisecond).Add(-offset)
	return &at
}
