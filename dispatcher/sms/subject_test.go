package sms_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestSubjectsAndStreamsAreNamedByTheContract(t *testing.T) {
	t.Parallel()
	o := sms.Origin{Route: "acme", Lane: sms.LaneHigh, Producer: "shop"}
	names := func(s sms.Subjects) []string {
		return []string{
			s.Jobs(o), s.JobsFilter("acme", sms.LaneBulk), s.JobsFilter("acme", ""),
			s.RetryDue(o), s.RetryDueFilter("acme", sms.LaneBulk), s.RetryTurn(o), s.RetryTurnFilter("acme", sms.LaneBulk), s.RetryAll(),
			s.Results("shop", "acme", sms.KindReceipt), s.ResultsFilter("shop", "", ""), s.ResultsFilter("", "", sms.KindFailed),
			s.Inbound("acme"), s.InboundFilter(""), s.Dead("acme"), s.DeadFilter(""),
			s.StreamJobs("acme-1"), s.StreamRetry(), s.StreamResults(), s.StreamInbound(), s.StreamDead(), s.StreamAdvisory(),
		}
	}
	want := []string{
		"sms.jobs.acme.high.shop", "sms.jobs.acme.bulk.*", "sms.jobs.acme.*.*",
		"sms.retry.due.acme.high.shop", "sms.retry.due.acme.bulk.*", "sms.retry.turn.acme.high.shop", "sms.retry.turn.acme.bulk.*", "sms.retry.>",
		"sms.results.shop.acme.receipt", "sms.results.shop.*.*", "sms.results.*.*.failed",
		"sms.inbound.acme", "sms.inbound.*", "sms.dead.acme", "sms.dead.*",
		"SMS_JOBS_ACME-1", "SMS_RETRY", "SMS_RESULTS", "SMS_INBOUND", "SMS_DEAD", "SMS_ADVISORY",
	}
	if diff := cmp.Diff(want, names(sms.Subjects{})); diff != "" {
		t.Errorf("default prefix (-want +got):\n%s", diff)
	}
	for i, name := range want {
		name = strings.Replace(name, "sms.", "eu.test.", 1)
		want[i] = strings.Replace(name, "SMS_", "EU_TEST_", 1)
	}
	if diff := cmp.Diff(want, names(sms.Subjects{Prefix: "eu.test"})); diff != "" {
		t.Errorf("own prefix (-want +got):\n%s", diff)
	}
}

func TestAScheduleSubjectIsOneTokenPerJob(t *testing.T) {
	t.Parallel()
	var s sms.Subjects
	a := s.RetryAt("acme", sms.JobKey("shop", "order.1~*>"))
	rest, ok := strings.CutPrefix(a, "sms.retry.at.acme.")
	if !ok || !sms.ValidToken(rest) {
		t.Errorf("subject %s", a)
	}
	if b := s.RetryAt("acme", sms.JobKey("shop2", "order.1~*>")); a == b {
		t.Error("two producers share a schedule")
	}
}

func TestOriginsSurviveARoundTrip(t *testing.T) {
	t.Parallel()
	for _, s := range []sms.Subjects{{}, {Prefix: "sms"}, {Prefix: "eu.test"}} {
		for _, lane := range sms.Lanes() {
			o := sms.Origin{Route: "acme", Lane: lane, Producer: "shop_1-A"}
			for _, subject := range []string{s.Jobs(o), s.RetryDue(o), s.RetryTurn(o)} {
				if got, err := s.ParseOrigin(subject); err != nil || got != o {
					t.Errorf("%s: %+v, %v", subject, got, err)
				}
			}
		}
	}
}

func TestForeignSubjectsAreRefused(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{
		"", "sms", "sms.jobs", "sms.jobs.acme.high", "sms.jobs.acme.high.", "sms.jobs.acme.high.shop.x", "sms.jobs..high.shop",
		"sms.jobs.acme.urgent.shop", "smsx.jobs.acme.high.shop", "sms.retry.at.acme.x", "sms.retry.due.acme.high", "sms.results.shop.acme.failed",
	} {
		if o, err := (sms.Subjects{}).ParseOrigin(subject); sms.CodeOf(err) != sms.CodeInvalid {
			t.Errorf("%q: %+v, %v", subject, o, err)
		}
	}
}

func TestPrefixesAndTokensAreChecked(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]bool{"a": true, "A-z_09": true, strings.Repeat("a", 32): true, strings.Repeat("a", 33): false, "": false, "a.b": false, "*": false, "é": false, "a b": false} {
		if got := sms.ValidToken(token); got != want {
			t.Errorf("ValidToken(%q) = %v", token, got)
		}
	}
	for prefix, want := range map[string]bool{"": true, "sms": true, "eu.test": true, ".": false, "a..b": false, "a.*": false, "a b": false} {
		if err := (sms.Subjects{Prefix: prefix}).Validate(); (err == nil) != want {
			t.Errorf("prefix %q: %v", prefix, err)
		}
	}
}

func TestNumbersAreMaskedAndNamesAreNot(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{
		"":                     "",
		"ACME":                 "ACME",
		"Shop 24":              "Shop 24",
		"82055":                "82055",
		"447700900123":         "447*******23",
		"+447700900123":        "+447*******23",
		"155501":               "155*01",
		"+155501":              "+155*01",
		"07700 900123":         "077*******23",
		"٤٤٧٧٠٠٩٠٠١٢٣":         "٤٤٧*******٢٣",
		"John Smith of London": "Joh***************on",
		"\xff447700900123":     "\uFFFD44********23",
	} {
		if got := sms.MaskNumber(number); got != want {
			t.Errorf("MaskNumber(%q) = %q, want %q", number, got, want)
		}
	}
	if got := sms.MaskNumber(strings.Repeat("9", 100_000)); len(got) > 20 {
		t.Errorf("%d octets", len(got))
	}
}
