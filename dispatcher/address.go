package dispatcher

import (
	"strings"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Types of number and numbering plans (SMPP 3.4 §5.2.5, §5.2.6).
const (
	tonUnknown         = 0
	tonInternational   = 1
	tonNational        = 2
	tonNetworkSpecific = 3
	tonAlphanumeric    = 5
	npiUnknown         = 0
	npiISDN            = 1
)

const (
	// shortCodeDigits is the length up to which a sender of digits without + is
	// taken for a short code rather than a subscriber's number.
	shortCodeDigits = 8
	// minNumberDigits is the length from which digits are taken for a number
	// that has a country code, and a prefix before it for a prefix.
	minNumberDigits = 7
)

// NumberForm is a way to write a number that has a country code.
type NumberForm string

// Forms of numbers.
const (
	FormDigits   NumberForm = "digits"   // 447700900123
	FormPlus     NumberForm = "plus"     // +447700900123
	FormZeros    NumberForm = "00"       // 00447700900123
	FormNational NumberForm = "national" // 07700900123 in its own country, else as Abroad says
)

// NumberFormat says how an SMSC wants addresses written. The zero value writes
// digits with their country code, with the type of number that this calls for.
// Jobs and configuration have numbers in international form, with or without
// a + or 00 in front.
type NumberFormat struct {
	CountryCode string // of the country whose numbers FormNational writes nationally
	TrunkPrefix string // before these: "0" in most countries. Default none
	Source      AddressRules
	Destination AddressRules
}

// AddressRules are the part of a NumberFormat for one side.
type AddressRules struct {
	Form          NumberForm // Default FormDigits
	Abroad        NumberForm // with FormNational: how to write the numbers of other countries. Default FormDigits
	International Numbering  // of numbers with a country code. Default 1, 1; with FormZeros 0, 1
	National      Numbering  // of numbers without. Default 2, 1
	Short         Numbering  // of sources of up to 8 digits. Default 3, 0
	Alphanumeric  Numbering  // of sources that are names. Default 5, 0
}

// Numbering is a type of number and a numbering plan; nil means the default.
type Numbering struct{ TON, NPI *uint8 }

func (n Numbering) address(addr string, ton, npi uint8) sms.Address {
	return override(sms.Address{TON: ton, NPI: npi, Addr: addr}, n.TON, n.NPI)
}

// SourceAddress writes a sender. A type of number that is given (not nil) says
// what the number is: it is then written as it stands, without its +.
func (f *NumberFormat) SourceAddress(from string, ton, npi *uint8) sms.Address {
	digits, plus := strings.CutPrefix(from, "+")
	var a sms.Address
	switch {
	case digits == "":
	case !allDigits(digits):
		a = f.Source.Alphanumeric.address(from, tonAlphanumeric, npiUnknown)
	case plus || len(digits) > shortCodeDigits:
		a = f.number(&f.Source, digits, ton == nil)
	default:
		a = f.Source.Short.address(digits, tonNetworkSpecific, npiUnknown)
	}
	return override(a, ton, npi)
}

// DestinationAddress is SourceAddress for a recipient.
func (f *NumberFormat) DestinationAddress(to string, ton, npi *uint8) sms.Address {
	return override(f.number(&f.Destination, strings.TrimPrefix(to, "+"), ton == nil), ton, npi)
}

// number writes digits in the form of the rules, or as they stand.
func (f *NumberFormat) number(r *AddressRules, digits string, format bool) sms.Address {
	if !format || len(digits) < minNumberDigits {
		return r.International.address(digits, tonInternational, npiISDN)
	}
	// No country code begins with 0 (ITU-T E.164): this is a prefix.
	if rest, zeros := strings.CutPrefix(digits, "00"); zeros && len(rest) >= minNumberDigits {
		digits = rest
	}
	form := r.Form
	if form == FormNational {
		if rest, home := strings.CutPrefix(digits, f.CountryCode); home && rest != "" {
			return r.National.address(f.TrunkPrefix+rest, tonNational, npiISDN)
		}
		form = r.Abroad
	}
	switch form {
	case FormPlus:
		return r.International.address("+"+digits, tonInternational, npiISDN)
	case FormZeros:
		return r.International.address("00"+digits, tonUnknown, npiISDN)
	}
	return r.International.address(digits, tonInternational, npiISDN)
}

func override(a sms.Address, ton, npi *uint8) sms.Address {
	if ton != nil {
		a.TON = *ton
	}
	if npi != nil {
		a.NPI = *npi
	}
	return a
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
