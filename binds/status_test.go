package binds

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/linxGnu/gosmpp/data"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

var update = flag.Bool("update", false, "rewrite STATUS.md")

// TestTheListOfEveryStatusIsWhatTheTableSays is the golden list: every name, class
// and meaning of the whole range stands in STATUS.md.
func TestTheListOfEveryStatusIsWhatTheTableSays(t *testing.T) {
	t.Parallel()
	const from, to = "<!-- list: command_status -->\n\n", "\n<!-- end -->\n"
	file, err := os.ReadFile("STATUS.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(file), from)
	list, after, closed := strings.Cut(rest, to)
	if !found || !closed {
		t.Fatal("STATUS.md has no list")
	}
	if *update {
		if err := os.WriteFile("STATUS.md", []byte(before+from+StatusTable()+to+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(list, StatusTable()); diff != "" {
		t.Errorf("STATUS.md is not what the table says; run go test ./binds -run Status -update (-file +table):\n%s", diff)
	}
}

func TestEveryStatusHasANameAClassAndAMeaningOnce(t *testing.T) {
	t.Parallel()
	table, next := Table(), uint32(0)
	for i, s := range table {
		if s.First != next || s.Last < s.First {
			t.Errorf("row %d is %#x..%#x, want it to begin at %#x", i, s.First, s.Last, next)
		}
		next = s.Last + 1
		if s.First != s.Last && s.Name != "reserved" && s.Name != "vendor_specific" {
			t.Errorf("%s stands for %#x..%#x", s.Name, s.First, s.Last)
		}
	}
	if next != 0 {
		t.Errorf("the table ends before %#x", next)
	}
	row := 0
	for s := range uint32(0x10000) {
		for table[row].Last < s {
			row++
		}
		want := StatusInfo{table[row].First, table[row].Last, Name(s), Classify(s), classifyBind(s).String(), Meaning(s)}
		if diff := cmp.Diff(want, table[row]); diff != "" || want.Name == "" || want.Meaning == "" || want.Class.String() == "unknown" {
			t.Fatalf("status %#x (-asked +listed):\n%s", s, diff)
		}
		e := StatusError("submit_sm", s)
		if (want.Class == ClassOK) != (s == 0) || (e.Code == "") != (s == 0) {
			t.Errorf("status %#x: class %s, code %q", s, want.Class, e.Code)
		}
		if retried := e.Code == sms.CodeThrottled || e.Code == sms.CodeTemporary; retried != (e.RetryAfter > 0) {
			t.Errorf("status %#x: code %s, retry after %s", s, e.Code, e.RetryAfter)
		}
	}
}

func TestANameStandsForOneStatusAndItsAliases(t *testing.T) {
	t.Parallel()
	numbers := map[string]int{}
	for s, row := range statuses {
		numbers[row.name]++
		if alias := strings.HasSuffix(row.meaning, "under another number"); alias {
			numbers[row.name]--
			if statuses[s].class != Classify(canonical(row.name)) {
				t.Errorf("%#x is %s, but %s is not", s, row.class, row.name)
			}
		}
	}
	for name, n := range numbers {
		if n != 1 {
			t.Errorf("%s stands for %d values", name, n)
		}
	}
}

// canonical is the number of the specification for a name.
func canonical(name string) uint32 {
	for s, row := range statuses {
		if row.name == name && !strings.HasSuffix(row.meaning, "under another number") {
			return s
		}
	}
	return 0
}

func TestRangesOfStatus(t *testing.T) {
	t.Parallel()
	got := map[uint32]Class{}
	want := map[uint32]Class{
		0x00: ClassOK, 0x04: ClassSession, 0x08: ClassRetry, 0x0B: ClassMessage, 0x14: ClassThrottle, 0x58: ClassThrottle,
		0x45: ClassRetryOnce, 0xFF: ClassRetryOnce,
		0x1D: ClassRetryOnce, 0x22: ClassRetryOnce, 0x3FF: ClassRetryOnce, // reserved by the specification
		0x400: ClassMessage, 0x4FF: ClassMessage, // the vendors'
		0x500: ClassMessage, 0xFFFFFFFF: ClassMessage, // reserved
		0x100: ClassAccount, 0x102: ClassThrottle,
	}
	for s := range want {
		got[s] = Classify(s)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("classes (-want +got):\n%s", diff)
	}
}

func TestNamesAreThoseOfTheSpecification(t *testing.T) {
	t.Parallel()
	// gosmpp uses the 3.4 names of the optional parameter faults and its own
	// spelling where 3.4 and 5.0 differ.
	differ := map[uint32]bool{0xC0: true, 0xC1: true, 0xC2: true, 0xC3: true, 0xC4: true, 0x16: true, 0x4A: true, 0x4B: true, 0x4D: true, 0x4E: true}
	for s, row := range statuses {
		if theirs := data.CommandStatusType(s).String(); s < 0x100 && !differ[s] && theirs != row.name {
			t.Errorf("status %#x: %s, gosmpp says %s", s, row.name, theirs)
		}
		if !strings.HasPrefix(row.name, "ESME_R") {
			t.Errorf("status %#x: name %q", s, row.name)
		}
	}
}

func TestAStatusErrorReadsWell(t *testing.T) {
	t.Parallel()
	want := "submit_sm: throttled: ESME_RTHROTTLED (0x00000058)"
	if got := StatusError("submit_sm", 0x58).Error(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if c := StatusError("submit_sm", 0x04).Code; c != sms.CodeTemporary {
		t.Errorf("a refused message is %s, want temporary: the SMSC does not have it", c)
	}
}

func TestEachClassIsDocumentedAndCanBeGiven(t *testing.T) {
	t.Parallel()
	for i, info := range Classes() {
		if int(info.Class) != i || info.Means == "" || info.Job == "" || info.Bind == "" || info.Route == "" {
			t.Errorf("class %d: %+v", i, info)
		}
		o, err := ParseOverrides(map[string]string{"0x40A": info.Class.String()})
		if info.Class == ClassOK {
			if err == nil {
				t.Error("a refused message became a success")
			}
			continue
		}
		if err != nil || o.Classify(0x40A) != info.Class {
			t.Errorf("%s: %v, %v", info.Class, o, err)
		}
	}
	if beyond := Class(len(Classes())); beyond.String() != "unknown" {
		t.Errorf("class %s is not documented", beyond)
	}
}

func TestARouteGivesStatusesClassesOfItsOwn(t *testing.T) {
	t.Parallel()
	o, err := ParseOverrides(map[string]string{
		"0x0000040A": "throttle", "1025": "account", "ESME_RSUBMITFAIL": "permanent", "ESME_RINVSERTYP": "session",
		"ESME_RMISSINGOPTPARAM": "retry", "0x14": "retry", "ESME_RX_T_APPN": "retry",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[uint32]*sms.Error{
		0x40A: {Code: sms.CodeThrottled, RetryAfter: time.Second, StatusName: "vendor_specific"},
		0x401: {Code: sms.CodeAccount, StatusName: "vendor_specific"},
		0x45:  {Code: sms.CodeRejected, StatusName: "ESME_RSUBMITFAIL"},
		0x15:  {Code: sms.CodeTemporary, RetryAfter: time.Second, StatusName: "ESME_RINVSERTYP"},
		0x16:  {Code: sms.CodeTemporary, RetryAfter: time.Second, StatusName: "ESME_RINVSERTYP"},
		0xC3:  {Code: sms.CodeTemporary, RetryAfter: time.Second, StatusName: "ESME_RMISSINGTLV"},
		0x14:  {Code: sms.CodeTemporary, RetryAfter: time.Second, StatusName: "ESME_RMSGQFUL"},
		0x64:  {Code: sms.CodeTemporary, RetryAfter: 5 * time.Second, StatusName: "ESME_RX_T_APPN"},
		0x400: {Code: sms.CodeRejected, StatusName: "vendor_specific"},
		0x58:  {Code: sms.CodeThrottled, RetryAfter: time.Second, StatusName: "ESME_RTHROTTLED"},
		0xFF:  {Code: sms.CodeTemporary, RetryAfter: time.Second, Tries: 2, StatusName: "ESME_RUNKNOWNERR"},
	}
	got := map[uint32]*sms.Error{}
	for s := range want {
		want[s].Status = s
		got[s] = o.Error("", s)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func TestARefusedBindIsTakenAsTheRouteSays(t *testing.T) {
	t.Parallel()
	o := Overrides{0x0D: ClassRetry, 0x08: ClassAccount, 0x401: ClassThrottle, 0x402: ClassMessage}
	want := map[uint32]refusal{
		0x0D: refusedForNow, 0x08: refusedCredential, 0x401: refusedForNow, 0x402: refusedCredential,
		0x05: refusedAlready, 0x4D: refusedCredential, 0x0E: refusedCredential, 0x403: refusedCredential, 0x101: refusedCredential, 0x58: refusedForNow, 0x1D: refusedForNow,
	}
	got := map[uint32]refusal{}
	for s := range want {
		got[s] = o.classifyBind(s)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
}

func TestEveryFaultOfOverridesIsReported(t *testing.T) {
	t.Parallel()
	_, err := ParseOverrides(map[string]string{
		"RTHROTTLED": "retry", "esme_rsyserr": "retry", "ESME_RNONSENSE": "retry", "-1": "retry", "0x100000000": "retry", "0": "retry",
		"ESME_ROK": "retry", "0x40A": "throttled", "ESME_RINVSYSID": "success", "ESME_RINVDSTADR": "retry", "0x0B": "retry", "11": "retry",
	})
	want := strings.TrimSpace(`
-1: is no command_status: write its number (0x00000058) or its name (ESME_RTHROTTLED)
0: is ESME_ROK, which is success and nothing else
0x100000000: is no command_status: they end at 0xFFFFFFFF
0x40A: must be one of throttle, retry, retry_once, permanent, account, session, is "throttled"
11: is the same status (0x0000000B) as 0x0B
ESME_RINVDSTADR: is the same status (0x0000000B) as 0x0B
ESME_RINVSYSID: must be one of throttle, retry, retry_once, permanent, account, session, is "success"
ESME_RNONSENSE: is no command_status: write its number (0x00000058) or its name (ESME_RTHROTTLED)
ESME_ROK: is success and nothing else
RTHROTTLED: is no command_status: write its number (0x00000058) or its name (ESME_RTHROTTLED); did you mean ESME_RTHROTTLED?
esme_rsyserr: is no command_status: write its number (0x00000058) or its name (ESME_RTHROTTLED); did you mean ESME_RSYSERR?
`)
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestAConfigurationReportsAllItsFaults(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Endpoints: []string{"smsc"}, Binds: -1, Window: 10001, DialTimeout: -1}, Deps{})
	for _, want := range []string{
		"endpoints[0]: must be host:port", "system_id: must not be empty", "binds: must be 1..256, is -1",
		"window: must be 1..10000, is 10001", "dial_timeout: must not be negative",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
}
