package sms_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// with is a minimal good job with more members.
func with(members string) string { return `{"id":"a","to":"447700900123","text":"hi",` + members + `}` }

// data is a minimal good binary job with more members.
func data(members string) string {
	return `{"id":"a","to":"447700900123","data":"AAEC"` + members + `}`
}

// only says what a table row means to one side alone.
type only string

const (
	decoderOnly only = "decoder" // only the decoder refuses it: a schema cannot say it
	both        only = ""
)

var badJobs = []struct {
	name, job string
	by        only
	want      string // the error behind "decode job: invalid: "
}{
	{"no required field", `{}`, both, "id: must be given; to: must be given; text: must be given, or data instead"},
	{"empty id", `{"id":"","to":"447700900123","text":""}`, both, "id: must be given"},
	{"bad id", `{"id":"a b","to":"447700900123","text":""}`, both, `id: must be 1..64 of A-Z a-z 0-9 . _ ~ -, is "a b"`},
	{"bad to and priority", `{"id":"a","to":"abc","text":"","priority":9}`, both,
		`priority: must be 0..3, is 9; to: must be digits with an optional leading +, at most 20, is "abc"`},
	{"to is masked", `{"id":"a","to":"+44 7700 900123","text":""}`, both,
		`to: must be digits with an optional leading +, at most 20, is "+44 *********23"`},
	{"to too long", `{"id":"a","to":"447700900123447700900","text":""}`, both,
		`to: must be digits with an optional leading +, at most 20, is "447***************00"`},
	{"to is a number", `{"id":"a","to":5,"text":""}`, both, "to: must be a string, is a number"},
	{"many faults", `{"id":1,"to":[],"text":{},"priority":-1,"protocol_id":999,"flash":0,"tlvs":[{"tag":70000,"value":"0"}],"nope":1}`, both,
		"id: must be a string, is a number; to: must be a string, is an array; text: must be a string, is an object; " +
			"priority: must be 0..3, is -1; protocol_id: must be 0..255, is 999; flash: must be true or false, is a number; " +
			"tlvs[0].tag: must be 0..65535, is 70000; tlvs[0].value: must be pairs of hexadecimal digits; nope: unknown field"},
	{"fraction", with(`"priority":3.5`), both, "priority: must be a whole number 0..3, is 3.5"},
	{"huge number", with(`"from_ton":447700900123`), both, "from_ton: must be 0..255"},
	{"null", with(`"from":null`), both, "from: must be a string, is null; leave the field out instead"},
	{"unknown field", with(`"Meta":{}`), both, "Meta: unknown field; did you mean meta?"},
	{"unknown field that may be personal", with(`"+447700900123":1`), both, "?: unknown field"},
	{"unknown field in tlvs", with(`"tlvs":[{"tag":1,"value":"","len":0}]`), both, "tlvs[0].len: unknown field"},
	{"incomplete tlv", with(`"tlvs":[{"tag":1},{"value":""}]`), both, "tlvs[0].value: must be given; tlvs[1].tag: must be given"},
	{"tlvs not an array", with(`"tlvs":{}`), both, "tlvs: must be an array, is an object"},
	{"tlv not an object", with(`"tlvs":[5]`), both, "tlvs[0]: must be an object, is a number"},
	{"too many tlvs", with(`"tlvs":[` + strings.Repeat(`{"tag":1,"value":""},`, 255) + `{"tag":1,"value":""}]`), both, "tlvs: must be at most 255"},
	{"given twice", with(`"id":"b"`), decoderOnly, "id: must be given once"},
	{"tag given twice", with(`"tlvs":[{"tag":1,"tag":2,"value":""}]`), decoderOnly, "tlvs[0].tag: must be given once"},
	{"text and data", with(`"data":""`), both, "text: must not be given together with data"},
	{"udh without data", with(`"udh":"AQA="`), both, "udh: must not be given without data"},
	{"data_coding without data", with(`"data_coding":4`), both, "data_coding: must not be given without data; set encoding instead"},
	{"encoding with data", data(`,"encoding":"auto"`), both, "encoding: must not be given together with data; set data_coding instead"},
	{"bad base64", `{"id":"a","to":"447700900123","data":"AAE"}`, both, "data: must be base64 with padding and without line breaks"},
	{"base64 with line breaks", `{"id":"a","to":"447700900123","data":"AAEC\n"}`, both, "data: must be base64 with padding and without line breaks"},
	{"udh length", data(`,"udh":"BQAD"`), decoderOnly, "udh: must begin with its own length: 2 octets follow the first, which says 5"},
	{"empty udh", data(`,"udh":""`), both, "udh: must not be empty"},
	{"flash with data_coding", data(`,"flash":true,"data_coding":4`), both, "flash: must not be given together with data_coding, which says the class itself"},
	{"flash with latin1", with(`"flash":true,"encoding":"latin1"`), both, "flash: must not be given with latin1, which has no class 0 (3GPP TS 23.038 §4)"},
	{"encoding", with(`"encoding":"utf8"`), both, `encoding: must be one of auto, gsm7, latin1, ucs2, is "utf8"`},
	{"empty encoding", with(`"encoding":""`), both, "encoding: must not be empty; leave the field out for the default"},
	{"receipt", with(`"receipt":"yes"`), both, `receipt: must be one of final, failure, all, none, is "yes"`},
	{"delivery", with(`"delivery":"once"`), both, `delivery: must be one of at_least_once, at_most_once, is "once"`},
	{"empty from", with(`"from":""`), both, "from: must not be empty; leave the field out for the default"},
	{"long from", with(`"from":"ACME Parcels"`), both,
		`from: must be digits with an optional leading +, at most 20, or at most 11 letters, digits, spaces and signs, is "ACM*******ls"`},
	{"from outside GSM", with(`"from":"AC[ME"`), both,
		`from: must be digits with an optional leading +, at most 20, or at most 11 letters, digits, spaces and signs, is "AC[ME"`},
	{"from without a letter", with(`"from":"+"`), both,
		`from: must be digits with an optional leading +, at most 20, or at most 11 letters, digits, spaces and signs, is "+"`},
	{"time", with(`"expires_at":"tomorrow"`), both, `expires_at: must be RFC 3339 like 2006-01-02T15:04:05Z, is "tomorrow"`},
	{"time without zone", with(`"schedule_at":"2026-03-01T12:00:00"`), both, "schedule_at: must be RFC 3339 like 2006-01-02T15:04:05Z, is a value of 19 characters"},
	{"duration without unit", with(`"validity":"90"`), both, `validity: must be a duration above 0 like 90m or 36h, is "90"`},
	{"zero duration", with(`"validity":"0s"`), decoderOnly, `validity: must be a duration above 0 like 90m or 36h, is "0s"`},
	{"negative duration", with(`"validity":"-5m"`), both, "validity: must be 1s..10584h (63 weeks), is -5m0s"},
	{"long duration", with(`"validity":"20000h"`), decoderOnly, "validity: must be 1s..10584h (63 weeks), is 20000h0m0s"},
	{"service_type", with(`"service_type":"ABCDEF"`), both, `service_type: must be at most 5 printable ASCII characters, is "ABCDEF"`},
	{"meta not an object", with(`"meta":[]`), both, "meta: must be an object, is an array"},
	{"large meta", with(`"meta":{"a":"` + strings.Repeat("x", 2041) + `"}`), decoderOnly, "meta: must be at most 2048 octets, is 2049"},
	{"invalid UTF-8 in text", "{\"id\":\"a\",\"to\":\"447700900123\",\"text\":\"a\xff\"}", decoderOnly, "text: must be valid UTF-8 without unpaired surrogates"},
	{"invalid UTF-8 in meta", with("\"meta\":{\"a\":\"\xff\"}"), decoderOnly, "meta: must be valid UTF-8"},
	{"half a surrogate pair", `{"id":"a","to":"447700900123","text":"\ud83d"}`, decoderOnly, "text: must be valid UTF-8 without unpaired surrogates"},
	{"trailing data", `{"id":"a","to":"447700900123","text":"hi"} {}`, both, "must be one JSON object, fails at octet 44 of 45"},
	{"cut off", `{"id":"a","to":"447`, both, "must be one JSON object, fails at octet 19 of 19"},
	{"empty", ``, both, "must be one JSON object, is empty"},
	{"an array", `[]`, both, "must be one JSON object, is an array"},
	{"1 MiB", with(`"meta":{"a":"` + strings.Repeat("x", 1<<20) + `"}`), decoderOnly, "must be at most 262144 octets, is 1048634"},
}

var goodJobs = []struct{ name, job string }{
	{"empty text", `{"id":"a","to":"1","text":""}`},
	{"empty data", `{"id":"a","to":"1","data":""}`},
	{"data with udh", data(`,"udh":"AQA=","data_coding":0`)},
	{"flash data", data(`,"flash":true`)},
	{"flash false with data_coding", data(`,"flash":false,"data_coding":4`)},
	{"longest id", `{"id":"` + strings.Repeat("~", 64) + `","to":"1","text":""}`},
	{"longest numbers", `{"id":"a","to":"+44770090012344770090","from":"+44770090012344770090","text":""}`},
	{"sender name", with(`"from":"A&B_c-d. '1"`)},
	{"surrogate pair", `{"id":"a","to":"1","text":"\ud83d\ude00"}`},
	{"escaped names", `{"\u0069d":"a","to":"1","text":"\\u\"\/"}`},
	{"space everywhere", " {\n\"id\" : \"a\" ,\t\"to\":\"1\",\r\"text\" : \"\" , \"tlvs\" : [ { \"tag\" : 1 , \"value\" : \"AB\" } , { \"value\":\"\",\"tag\":0 } ] , \"meta\" : { } } "},
	{"no tlvs", with(`"tlvs":[]`)},
	{"nested meta", with(`"meta":{"a":[1,{"b":"]}\\\""}],"c":null}`)},
	{"largest meta", with(`"meta":{"a":"` + strings.Repeat("x", 2040) + `"}`)},
	{"longest validity", with(`"validity":"10584h"`)},
	{"fractional validity", with(`"validity":"1h2.5s"`)},
	{"service type", with(`"service_type":""`)},
	{"offset and fraction in times", with(`"expires_at":"2026-03-01T12:00:00.123456789+05:30"`)},
}

func TestBadJobsAreRefusedWithEveryFault(t *testing.T) {
	t.Parallel()
	s := schema(t, "job")
	for _, tt := range badJobs {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := sms.DecodeJob([]byte(tt.job))
			var e *sms.Error
			var faults sms.Faults
			if !errors.As(err, &e) || e.Code != sms.CodeInvalid || !errors.As(err, &faults) {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff("decode job: invalid: "+tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if refused := conforms(s, []byte(tt.job)) != nil; refused != (tt.by == both) {
				t.Errorf("the schema refuses it: %v", refused)
			}
		})
	}
}

func TestGoodJobsAreAccepted(t *testing.T) {
	t.Parallel()
	s := schema(t, "job")
	for _, tt := range goodJobs {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			job, err := sms.DecodeJob([]byte(tt.job))
			if err != nil {
				t.Fatal(err)
			}
			if err := job.Validate(); err != nil {
				t.Errorf("Validate: %v", err)
			}
			if err := conforms(s, []byte(tt.job)); err != nil {
				t.Errorf("schema: %v", err)
			}
		})
	}
}

func TestManyFaultsMakeAShortError(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&b, `"f%d":0,`, i%1000)
	}
	start := time.Now()
	_, err := sms.DecodeJob([]byte(with(b.String() + `"priority":0`)))
	if err == nil || len(err.Error()) > 1000 || !strings.HasSuffix(err.Error(), "; and 19980 more") {
		t.Errorf("error %v", err)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("took %v", d)
	}
}

func TestJobIDNamesARefusedJob(t *testing.T) {
	t.Parallel()
	tests := []struct{ job, want string }{
		{`{"to":5,"id":"order-1","nope":{"id":"x"}}`, "order-1"},
		{` {"\u0069d":"order-1"}`, "order-1"},
		{`{"id":"a b"}`, ""},
		{`{"id":5}`, ""},
		{`{"id":"a","id":"b"}`, ""},
		{`{"id":"order-1"`, ""},
		{`["id"]`, ""},
		{``, ""},
	}
	for _, tt := range tests {
		if got := sms.JobID([]byte(tt.job)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.job, got, tt.want)
		}
	}
}

func TestDefaultsAreFilledIn(t *testing.T) {
	t.Parallel()
	job, err := sms.DecodeJob([]byte(`{"id":"a","to":"1","text":""}`))
	if err != nil || job.Encoding != sms.EncodingAuto || job.Delivery != sms.AtLeastOnce || job.Receipt != "" {
		t.Errorf("%+v, %v", job, err)
	}
	job, err = sms.DecodeJob([]byte(data("")))
	if err != nil || job.Encoding != "" || job.Text != nil || !job.HasData() {
		t.Errorf("%+v, %v", job, err)
	}
}

func TestValidateRefusesWhatDecodingCannotMeet(t *testing.T) {
	t.Parallel()
	bad := "a\xff"
	tests := []struct {
		job  sms.Job
		want string
	}{
		{sms.Job{ID: "a", To: "1", Text: &bad}, "text: must be valid UTF-8 without unpaired surrogates"},
		{sms.Job{ID: "a", To: "1", Data: []byte{}, Meta: []byte("{")}, "meta: must be an object"},
		{sms.Job{ID: "a", To: "1", Data: []byte{}, Meta: []byte(" []")}, "meta: must be an object"},
		{sms.Job{ID: "a", To: "1", Data: []byte{}, Priority: 4}, "priority: must be 0..3, is 4"},
		{sms.Job{ID: "a", To: "1", Data: []byte{}, TLVs: make([]sms.JobTLV, 256)}, "tlvs: must be at most 255"},
		{sms.Job{ID: "a", To: "1", Data: []byte{}, TLVs: []sms.JobTLV{{Value: make([]byte, 65536)}}}, "tlvs: must have values of at most 65535 octets, one has 65536"},
	}
	for _, tt := range tests {
		err := tt.job.Validate()
		if err == nil || sms.CodeOf(err) != sms.CodeInvalid || err.Error() != "validate job: invalid: "+tt.want {
			t.Errorf("error %v, want %s", err, tt.want)
		}
	}
}
