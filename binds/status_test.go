package binds

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/linxGnu/gosmpp/data"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestEveryStatusHasAClassAndACode(t *testing.T) {
	t.Parallel()
	for s := range uint32(0x600) {
		name, class := Name(s), Classify(s)
		if name == "" || class.String() == "unknown" {
			t.Errorf("status %#x: name %q, class %s", s, name, class)
		}
		if (class == ClassOK) != (s == 0) || (class.Code() == "") != (s == 0) {
			t.Errorf("status %#x: class %s, code %q", s, class, class.Code())
		}
	}
}

func TestRangesOfStatus(t *testing.T) {
	t.Parallel()
	got := map[uint32]Class{}
	want := map[uint32]Class{
		0x00: ClassOK, 0x04: ClassSession, 0x08: ClassRetry, 0x0B: ClassMessage, 0x14: ClassThrottle, 0x58: ClassThrottle,
		0x1D: ClassRetry, 0x22: ClassRetry, 0x3FF: ClassRetry, // reserved by the specification
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
