package receipts

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestIDsAreShownAndKeptByTheirRule(t *testing.T) {
	t.Parallel()
	uuid := "6a3ed98a-6644-4e8a-bac3-acd9bba8656f"
	for _, tc := range []struct {
		rule       IDRule
		raw        string
		shown, key string
	}{
		{IDAsIs, " 00aB\x00", "00aB", "00ab"},
		{IDAsIs, `a\xFF`, `a\x5CxFF`, `a\x5cxff`},
		{IDHex, "00B8BE21", "12107297", "12107297"},
		{IDHex, "0xb8be21", "12107297", "12107297"},
		{IDHex, "FFFFFFFFFFFFFFFF", "18446744073709551615", "18446744073709551615"},
		{IDHex, "1" + strings.Repeat("0", 16), "18446744073709551616", "18446744073709551616"},
		{IDHex, strings.Repeat("0", 63) + "a", "10", "10"},
		{IDHex, strings.Repeat("A", 65), strings.Repeat("A", 65), strings.Repeat("a", 65)}, // longer than message_id can be
		{IDHex, uuid, uuid, uuid},
		{IDHex, "+12", "+12", "+12"},
		{IDHex, "0x", "0x", "0x"},
		{IDHex, "1_0", "1_0", "1_0"},
		{IDDecimal, "0000436950", "436950", "436950"},
		{IDDecimal, "00" + strings.Repeat("9", 30), strings.Repeat("9", 30), strings.Repeat("9", 30)},
		{IDDecimal, "000", "0", "0"},
		{IDDecimal, "12aB", "12aB", "12ab"},
		{IDAuto, "00B8bE21", "00B8bE21", "b8be21"},
		{IDAuto, "0x00B8", "0x00B8", "b8"},
		{IDAuto, "0", "0", "0"},
		{IDAuto, "0-7", "0-7", "0-7"},
		{IDAuto, "", "", ""},
	} {
		if got := [2]string{tc.rule.ID(tc.raw), tc.rule.Key(tc.raw)}; got != [2]string{tc.shown, tc.key} {
			t.Errorf("%s %q: shown and kept as %q, want %q, %q", tc.rule, tc.raw, got, tc.shown, tc.key)
		}
	}
}

func TestNumbersOfAnySizeMeetInBothNotations(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 5000 {
		n := new(big.Int).SetUint64(r.Uint64())
		n.Lsh(n, uint(r.IntN(120))).Rsh(n, uint(r.IntN(64)))
		hex, decimal := strings.Repeat("0", r.IntN(4))+n.Text(16), strings.Repeat("0", r.IntN(4))+n.String()
		if r.IntN(2) == 0 {
			hex = strings.ToUpper(hex)
		}
		for _, tc := range []struct {
			rules           IDRules
			submit, receipt string
		}{{IDRules{IDHex, IDDecimal}, hex, decimal}, {IDRules{IDDecimal, IDHex}, decimal, hex}} {
			keys := tc.rules.Candidates(Parsed{TextID: tc.receipt})
			if len(keys) == 0 || keys[0] != tc.rules.Submit.Key(tc.submit) {
				t.Fatalf("seed %d: %+v: submitted %s, receipt %s: %q", seed, tc.rules, tc.submit, tc.receipt, keys)
			}
		}
	}
}

func TestCandidatesComeInTheOrderOfTheirLikelihood(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rules IDRules
		p     Parsed
		want  []string
	}{
		"nothing":                              {IDRules{IDAsIs, IDAsIs}, Parsed{}, nil},
		"the TLV, then the text":               {IDRules{IDAsIs, IDAsIs}, Parsed{TLVID: "7F", TextID: "127"}, []string{"7f", "127"}},
		"both the same":                        {IDRules{IDHex, IDDecimal}, Parsed{TLVID: "7F", TextID: "0127"}, []string{"127"}},
		"the TLV as the text":                  {IDRules{IDHex, IDDecimal}, Parsed{TLVID: "127", TextID: "0127"}, []string{"127", "295"}},
		"against the rule, with letters":       {IDRules{IDHex, IDDecimal}, Parsed{TextID: "7f"}, []string{"7f", "127"}},
		"digits alone are by the rule":         {IDRules{IDHex, IDDecimal}, Parsed{TextID: "11"}, []string{"11"}},
		"more than 64 bits, by and against it": {IDRules{IDHex, IDDecimal}, Parsed{TextID: "100000000000000000000"}, []string{"100000000000000000000", "1208925819614629174706176"}},
		"two ids":                              {IDRules{IDAsIs, IDAsIs}, Parsed{TextID: "gw", OtherID: "smsc"}, []string{"gw", "smsc"}},
		"up to the @":                          {IDRules{IDAsIs, IDAsIs}, Parsed{TLVID: "1.5@9", TextID: "1.5"}, []string{"1.5@9", "1.5"}},
		"auto: all":                            {IDRules{IDAuto, IDAuto}, Parsed{TLVID: "x1@2", TextID: "0000436949", OtherID: "q"}, []string{"x1@2", "436949", "q", "6aad5", "4417865", "x1"}},
		"auto: letters":                        {IDRules{IDAuto, IDAuto}, Parsed{TextID: "006AAD5"}, []string{"6aad5", "436949"}},
		"auto: the TLV alone":                  {IDRules{IDAuto, IDAuto}, Parsed{TLVID: "436949"}, []string{"436949", "6aad5", "4417865"}},
		"auto: 34 hexadecimal digits are no id of ours to convert": {IDRules{IDAuto, IDAuto}, Parsed{TextID: "7E82912F50E44B058E9A1FDEB41D67B301"}, []string{"7e82912f50e44b058e9a1fdeb41d67b301"}},
		"auto: nor are 23 digits":                                  {IDRules{IDAuto, IDAuto}, Parsed{TextID: "01085081361298653000111"}, []string{"1085081361298653000111"}},
	} {
		got := tc.rules.Candidates(tc.p)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if len(got) > 8 {
			t.Errorf("%s: %d candidates", name, len(got))
		}
	}
}

var auto = IDRules{Submit: IDAuto, Receipt: IDAuto}

func TestAutoFindsTheJobInEveryNotation(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ submit, text, tlv string }{
		"as written, other case":       {"AbC-9", "aBc-9", ""},
		"hexadecimal, then decimal":    {"00C0FFEE", "0012648430", ""},
		"decimal, then hexadecimal":    {"12648430", "00c0ffee", ""},
		"leading zeros in the receipt": {"3005", "0000003005", ""},
		"leading zeros in the answer":  {"00B8BE19", "B8BE19", ""},
		"nothing but a zero":           {"0", "0", ""},
		"the TLV as in the answer":     {"38601FB", "0059113979", "38601fb"},
		"the TLV alone, in decimal":    {"38601FB", "", "59113979"},
		"the TLV with a suffix":        {"1700.12", "", "1700.12@15550100"},
		"more than 64 bits":            {"0918879021808984630351444422649", "918879021808984630351444422649", ""},
	} {
		for _, early := range []bool{false, true} {
			when := map[bool]string{false: ", receipt after", true: ", receipt before"}[early]
			t.Run(name+when, func(t *testing.T) {
				t.Parallel()
				srv := start(t)
				d, pub := newDesk(t, srv.Addr, withRoute(Route{IDs: auto}))
				m := deliverReceipt(tc.text, "DELIVRD")
				if tc.tlv != "" {
					m.TLVs = []sms.TLV{{Tag: sms.TagReceiptedMsgID, Value: []byte(tc.tlv)}}
				}
				if early {
					deliver(t, d, m, statusOK)
				}
				outcome := submit(t, d, jobRef("j1"), tc.submit)
				if !early {
					deliver(t, d, m, statusOK)
				}
				if got := only(t, pub); got.JobID != "j1" || got.MessageID != tc.submit {
					t.Errorf("receipt of job %q with message id %q, want j1, %q", got.JobID, got.MessageID, tc.submit)
				}
				if got := outcome.Parts[0].MessageID; got != tc.submit {
					t.Errorf("submitted as %q, want %q", got, tc.submit)
				}
			})
		}
	}
}

// The id 16 is 10 in hexadecimal: while 16 is not known yet its receipt must
// not be taken for that of 10.
func TestAutoDoesNotGuessBetweenTwoMessages(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, withRoute(Route{IDs: auto}))
	submit(t, d, jobRef("ten"), "10")
	deliver(t, d, deliverReceipt("16", "DELIVRD"), statusOK)
	if all := pub.list(); len(all) != 0 {
		t.Fatalf("published for %s before its job was known", all[0].JobID)
	}
	submit(t, d, jobRef("sixteen"), "16")
	if got := only(t, pub); got.JobID != "sixteen" {
		t.Errorf("published for %q", got.JobID)
	}
}

func TestAutoTakesDigitsForAnotherNotationOnceItHasSeenIt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ sure, text, unsure, digits string }{
		"hexadecimal answers": {"c0ffee", "12648430", "10001234", "268440116"},
		"decimal answers":     {"12648430", "c0ffee", "268440116", "10001234"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := start(t)
			d, pub := newDesk(t, srv.Addr, withRoute(Route{IDs: auto}))
			submit(t, d, jobRef("j1"), tc.sure)
			submit(t, d, jobRef("j2"), tc.unsure)
			deliver(t, d, deliverReceipt(tc.text, "DELIVRD"), statusOK)
			deliver(t, d, deliverReceipt(tc.digits, "DELIVRD"), statusOK)
			if all := pub.list(); len(all) != 2 || all[0].JobID != "j1" || all[1].JobID != "j2" {
				t.Errorf("%d receipts published", len(all))
			}
		})
	}
}

func TestAutoStandsOnBothSidesOrNone(t *testing.T) {
	t.Parallel()
	for _, rules := range []IDRules{{IDAuto, IDAsIs}, {IDHex, IDAuto}} {
		if err := (Route{IDs: rules}).withDefaults().validate(); err == nil || !strings.Contains(err.Error(), "auto must stand on both sides") {
			t.Errorf("%+v: %v", rules, err)
		}
	}
}
