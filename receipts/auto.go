package receipts

import (
	"strings"
	"sync/atomic"
)

// notation says in which ways the receipts of a route are known to write the
// numbers of its submit_sm_resp.
type notation uint32

const (
	decimalReceipts notation = 1 << iota // the response is hexadecimal, the receipt decimal
	hexReceipts                          // the response is decimal, the receipt hexadecimal

	bothNotations = decimalReceipts | hexReceipts
)

// appendAuto appends the keys of a receipt on a route with the rule auto: as
// written, then the numbers in the other notation, then the TLV up to its "@".
//
// The id 10 may be written 16, and 16 may as well be another message. While the
// first of the two is not known yet, the receipt must not go to the second. So
// a number whose other notation has digits only is converted only when seen
// has the notation: once an id with letters, of which there can be no doubt,
// has met its receipt that way in this worker.
func appendAuto(keys []string, p *Parsed, seen notation) []string {
	add := func(id string) {
		key := IDAuto.key(id)
		for _, have := range keys {
			if have == key {
				return
			}
		}
		if key != "" {
			keys = append(keys, key)
		}
	}
	add(p.TLVID)
	add(p.TextID)
	add(p.OtherID)
	number := p.TextID
	if number == "" {
		number = p.TLVID
	}
	if id, sure := inHex(number); sure || seen&decimalReceipts != 0 {
		add(id)
	}
	if id, sure := inDecimal(number); sure || seen&hexReceipts != 0 {
		add(id)
	}
	if before, _, found := strings.Cut(p.TLVID, "@"); found {
		add(before)
	}
	return keys
}

// Longer ids are no numbers: SMSCs that count do so in 64 bits, and what is
// longer is made by chance and written the same way everywhere.
const (
	longestDecimal = 20
	longestHex     = 16
)

// inHex is a decimal number in hexadecimal, empty when id is none. It is sure
// to be meant so when it has a letter.
func inHex(id string) (hex string, sure bool) {
	if len(withoutZeros(id)) > longestDecimal {
		return "", false
	}
	hex, _ = decimalToHex(id)
	return hex, hex != "" && !isDigits(hex)
}

// inDecimal is a hexadecimal number in decimal, empty when id is none. It is
// sure to be meant so when id has a letter.
func inDecimal(id string) (decimal string, sure bool) {
	if len(withoutZeros(strings.TrimPrefix(id, "0x"))) > longestHex {
		return "", false
	}
	decimal, _ = hexToDecimal(id)
	return decimal, decimal != "" && !isDigits(id)
}

// learn notes how the receipt met the id that the SMSC gave its part.
func learn(seen *atomic.Uint32, p *Parsed, submitted string) {
	number := p.TextID
	if number == "" {
		number = p.TLVID
	}
	key := IDAuto.key(submitted)
	if key == IDAuto.key(p.TLVID) || key == IDAuto.key(p.TextID) {
		return
	}
	if id, sure := inHex(number); sure && IDAuto.key(id) == key {
		seen.Or(uint32(decimalReceipts))
	}
	if id, sure := inDecimal(number); sure && IDAuto.key(id) == key {
		seen.Or(uint32(hexReceipts))
	}
}
