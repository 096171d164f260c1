package text

import (
	"fmt"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// What fits where. Sizes of GSM 7-bit text count in septets, of the others in
// octets.

// septets reports whether the alphabet's text goes over the air as GSM 7-bit.
func (a *alphabet) septets() bool { return a.encoding == sms.EncodingGSM7 }

// limit returns how much text fits beside a header: 7-bit text is packed on
// the air, where the header takes whole septets (3GPP TS 23.040 §9.2.3.24).
func (a *alphabet) limit(header int) int {
	switch {
	case a.septets():
		return (MaxOctets - header) * 8 / 7
	case a == ucs2:
		return (MaxOctets - header) &^ 1
	}
	return MaxOctets - header
}

// partLimit is limit for a part of a long text.
func (a *alphabet) partLimit(o Options) (int, error) {
	if err := o.Concat.CheckSeptetsPerPart(o.SeptetsPerPart); err != nil {
		return 0, fmt.Errorf("septets per part: %w", err)
	}
	septets, _ := o.Concat.septetsPerPart()
	if o.SeptetsPerPart > 0 {
		septets = o.SeptetsPerPart
	}
	switch {
	case a.septets():
		return septets, nil
	case o.Concat == SAR: // the header that the SMSC writes takes as much room here
		return a.limit(MaxOctets - (septets*7+7)/8), nil
	}
	return a.limit(o.Concat.headerOctets()), nil
}

// weight is the size of encoded text.
func (a *alphabet) weight(b []byte) int {
	if !a.narrow {
		return len(b)
	}
	n := len(b)
	for _, c := range b {
		if gsm7Codes[c]&extended != 0 {
			n++
		}
	}
	return n
}

// cut returns where to end a part of at most limit.
func (a *alphabet) cut(b []byte, limit int) int {
	if a.narrow {
		return cutNarrow(b, limit)
	}
	if len(b) <= limit {
		return len(b)
	}
	switch {
	case a.septets() && b[limit-1] == escape:
		return limit - 1
	case a == ucs2 && b[limit-2]&0xFC == 0xD8: // a high surrogate
		return limit - 2
	}
	return limit
}

// cutNarrow counts as the SMSC will when it has converted the text.
func cutNarrow(b []byte, limit int) int {
	for i, c := range b {
		if limit--; gsm7Codes[c]&extended != 0 {
			limit--
		}
		if limit < 0 {
			return i
		}
	}
	return len(b)
}
