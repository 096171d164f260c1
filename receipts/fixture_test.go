package receipts

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// fixture is a line of testdata/receipts.jsonl: one rule, one receipt.
type fixture struct {
	Name       string            `json:"name"`
	Rule       string            `json:"rule"`
	ESMClass   *uint8            `json:"esm_class"` // default 4
	DataCoding uint8             `json:"data_coding"`
	Text       string            `json:"text"`       // short_message
	Hex        string            `json:"hex"`        // or its octets
	TLVs       map[string]string `json:"tlvs"`       // tag → value, in hexadecimal
	Untyped    bool              `json:"untyped"`    // the route's rule
	NoReceipt  bool              `json:"no_receipt"` // a message from a mobile
	Want       reading           `json:"want"`
}

// reading is what is read; nil is absent.
type reading struct {
	ID      *string   `json:"id"`
	Other   string    `json:"other"`
	TLVID   string    `json:"tlv_id"`
	Sub     *string   `json:"sub"`
	Dlvrd   *string   `json:"dlvrd"`
	Submit  string    `json:"submit"`
	Done    string    `json:"done"`
	Stat    *string   `json:"stat"`
	Err     *string   `json:"err"`
	Text    *string   `json:"text"`
	Network string    `json:"network"`
	State   sms.State `json:"state"`
}

func fixtures(tb testing.TB) []fixture {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "receipts.jsonl"))
	if err != nil {
		tb.Fatal(err)
	}
	var all []fixture
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		strict := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		strict.DisallowUnknownFields()
		var f fixture
		if err := strict.Decode(&f); err != nil {
			tb.Fatalf("line %d: %v", len(all)+1, err)
		}
		all = append(all, f)
	}
	if len(all) == 0 {
		tb.Fatal("no fixtures")
	}
	return all
}

func (f *fixture) message(tb testing.TB) *sms.Message {
	tb.Helper()
	octets := func(digits string) []byte { return must(hex.DecodeString(digits))(tb) }
	m := &sms.Message{ESMClass: sms.ESMClassReceipt, DataCoding: f.DataCoding, ShortMessage: []byte(f.Text)}
	if f.ESMClass != nil {
		m.ESMClass = *f.ESMClass
	}
	if f.Hex != "" {
		m.ShortMessage = octets(f.Hex)
	}
	for _, tag := range slices.Sorted(maps.Keys(f.TLVs)) {
		n := must(strconv.ParseUint(tag, 16, 16))(tb)
		m.TLVs = append(m.TLVs, sms.TLV{Tag: uint16(n), Value: octets(f.TLVs[tag])})
	}
	return m
}

func TestReceiptsAreReadByTheRules(t *testing.T) {
	t.Parallel()
	for _, f := range fixtures(t) {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			m := f.message(t)
			rules := &ReceiptRules{Untyped: f.Untyped}
			if rules.IsReceipt(m) == f.NoReceipt {
				t.Errorf("taken for a receipt: %v", !f.NoReceipt)
			}
			p := rules.Parse(m)
			written := scan(trimNULs(decodeUCS2(string(userData(m)))), !hasState(m))
			if diff := cmp.Diff(f.Want, readingOf(&p, &written)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", f.Rule, diff)
			}
			if p.Intermediate != (m.ESMClass&sms.ESMClassMask == sms.ESMClassIntermed) || p.Intermediate && p.Final() {
				t.Errorf("intermediate %v, final %v", p.Intermediate, p.Final())
			}
			if got := unescape(p.Raw); got != string(allUserData(m)) || !utf8.ValidString(p.Raw) {
				t.Errorf("raw %q does not hold what was received", p.Raw)
			}
		})
	}
}

func hasState(m *sms.Message) bool {
	_, ok := tlvState(m)
	return ok
}

func trimNULs(s string) string { return string(bytes.Trim([]byte(s), "\x00")) }

// readingOf tells what is absent by the labels that were found.
func readingOf(p *Parsed, f *fields) reading {
	there := func(l label, v string) *string {
		if f.start[l] == 0 {
			return nil
		}
		return &v
	}
	r := reading{
		ID: there(labelID, p.TextID), Other: p.OtherID, TLVID: p.TLVID, Sub: there(labelSub, p.Sub), Dlvrd: there(labelDlvrd, p.Dlvrd),
		Stat: there(labelStat, p.Stat), Err: there(labelErr, p.ErrorCode), Text: there(labelText, p.Text),
		Network: p.NetworkError, State: p.State,
	}
	for to, d := range map[*string]*time.Time{&r.Submit: p.SubmitDate, &r.Done: p.DoneDate} {
		if d != nil {
			*to = d.Format(time.RFC3339Nano)
		}
	}
	return r
}

// unescape is what a consumer does who wants the octets.
func unescape(s string) string {
	var b []byte
	for i := 0; i < len(s); i++ {
		if beginsEscape(s[i:]) {
			n, _ := strconv.ParseUint(s[i+2:i+4], 16, 8)
			b = append(b, byte(n))
			i += 3
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}
