package dispatcher

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestNumbersAreWrittenAsTheSMSCWantsThem(t *testing.T) {
	t.Parallel()
	n := func(v uint8) *uint8 { return &v }
	uk := func(side AddressRules) NumberFormat {
		return NumberFormat{CountryCode: "44", TrunkPrefix: "0", Source: side, Destination: side}
	}
	plus, zeros := uk(AddressRules{Form: FormPlus}), uk(AddressRules{Form: FormZeros})
	national, abroad := uk(AddressRules{Form: FormNational}), uk(AddressRules{Form: FormNational, Abroad: FormZeros})
	noTrunk := NumberFormat{CountryCode: "1", Destination: AddressRules{Form: FormNational}}
	numbered := uk(AddressRules{
		Form: FormNational, International: Numbering{n(0), n(0)}, National: Numbering{TON: n(8)},
		Short: Numbering{NPI: n(9)}, Alphanumeric: Numbering{NPI: n(1)},
	})
	to := (*NumberFormat).DestinationAddress
	from := (*NumberFormat).SourceAddress
	tests := []struct {
		name   string
		write  func(*NumberFormat, string, *uint8, *uint8) sms.Address
		format NumberFormat
		number string
		ton    *uint8
		npi    *uint8
		want   sms.Address
	}{
		{"digits", to, NumberFormat{}, "447700900123", nil, nil, sms.Address{TON: 1, NPI: 1, Addr: "447700900123"}},
		{"plus goes", to, NumberFormat{}, "+447700900123", nil, nil, sms.Address{TON: 1, NPI: 1, Addr: "447700900123"}},
		{"00 goes", to, NumberFormat{}, "00447700900123", nil, nil, sms.Address{TON: 1, NPI: 1, Addr: "447700900123"}},
		{"a short destination stays", to, plus, "12345", nil, nil, sms.Address{TON: 1, NPI: 1, Addr: "12345"}},
		{"plus", to, plus, "447700900123", nil, nil, sms.Address{TON: 1, NPI: 1, Addr: "+447700900123"}},
		{"plus once", to, plus, "+447700900123", nil, nil, sms.Address{TON: 1, NPI: 1, Addr: "+447700900123"}},
		{"plus for 00", to, plus, "00447700900123", nil, nil, sms.Address{TON: 1, NPI: 1, Addr: "+447700900123"}},
		{"00", to, zeros, "+447700900123", nil, nil, sms.Address{TON: 0, NPI: 1, Addr: "00447700900123"}},
		{"00 once", to, zeros, "00447700900123", nil, nil, sms.Address{TON: 0, NPI: 1, Addr: "00447700900123"}},
		{"national", to, national, "+447700900123", nil, nil, sms.Address{TON: 2, NPI: 1, Addr: "07700900123"}},
		{"national without trunk prefix", to, noTrunk, "15550100123", nil, nil, sms.Address{TON: 2, NPI: 1, Addr: "5550100123"}},
		{"abroad", to, national, "15550100123", nil, nil, sms.Address{TON: 1, NPI: 1, Addr: "15550100123"}},
		{"abroad with 00", to, abroad, "15550100123", nil, nil, sms.Address{TON: 0, NPI: 1, Addr: "0015550100123"}},
		{"own numbering", to, numbered, "447700900123", nil, nil, sms.Address{TON: 8, NPI: 1, Addr: "07700900123"}},
		{"own numbering abroad", to, numbered, "15550100123", nil, nil, sms.Address{TON: 0, NPI: 0, Addr: "15550100123"}},
		{"the job says what the number is", to, national, "447700900123", n(2), nil, sms.Address{TON: 2, NPI: 1, Addr: "447700900123"}},
		{"the job says so of a prefix", to, plus, "00447700900123", n(0), n(0), sms.Address{TON: 0, NPI: 0, Addr: "00447700900123"}},
		{"the job gives the plan only", to, plus, "447700900123", nil, n(8), sms.Address{TON: 1, NPI: 8, Addr: "+447700900123"}},

		{"sender of digits", from, NumberFormat{}, "447700900123", nil, nil, sms.Address{TON: 1, NPI: 1, Addr: "447700900123"}},
		{"sender with plus", from, plus, "+447700900123", nil, nil, sms.Address{TON: 1, NPI: 1, Addr: "+447700900123"}},
		{"national sender", from, national, "447700900123", nil, nil, sms.Address{TON: 2, NPI: 1, Addr: "07700900123"}},
		{"short code", from, plus, "60777", nil, nil, sms.Address{TON: 3, NPI: 0, Addr: "60777"}},
		{"short code with own plan", from, numbered, "60777", nil, nil, sms.Address{TON: 3, NPI: 9, Addr: "60777"}},
		{"name", from, zeros, "ACME", nil, nil, sms.Address{TON: 5, NPI: 0, Addr: "ACME"}},
		{"name with own plan", from, numbered, "ACME", nil, nil, sms.Address{TON: 5, NPI: 1, Addr: "ACME"}},
		{"name with the job's plan", from, numbered, "ACME", n(5), n(7), sms.Address{TON: 5, NPI: 7, Addr: "ACME"}},
		{"no sender", from, plus, "", nil, nil, sms.Address{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, tt.write(&tt.format, tt.number, tt.ton, tt.npi)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.number, diff)
			}
		})
	}
}
