package sms_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// randomResult fills each field or leaves it zero, with what is awkward in JSON
// among the values.
func randomResult(r *rand.Rand) *sms.Result {
	str := func() string {
		pool := []string{"", "a", "DELIVRD", `"`, `\`, "<b>&", "\x00\x7f\n", "é😀", "\u2028", "\xff", "stat:DELIVRD err:000"}
		return pool[r.IntN(len(pool))] + pool[r.IntN(len(pool))]
	}
	when := func() time.Time {
		zones := []*time.Location{time.UTC, time.FixedZone("", 5400), time.FixedZone("", -3600*11)}
		return time.Unix(r.Int64N(4e9), r.Int64N(1e9)*r.Int64N(2)).In(zones[r.IntN(len(zones))])
	}
	metas := []string{"", `{}`, `{"a":1}`, `{ "a" : [1, "x y"] }`, `{"a":"<&>"}`, `{"é":"\u2028"}`, "{\"a\":\"\u2028\"}"}
	floats := []float64{0, 1, 12.5, 1e-7, 1e21, 123456.789, -2, 0.1 + 0.2}
	res := &sms.Result{
		ID: str(), Kind: sms.Kind(str()), JobID: str(), Producer: str(), Route: str(), Via: str(), Time: when(),
		Meta: json.RawMessage(metas[r.IntN(len(metas))]), Attempt: r.IntN(3), Replay: r.IntN(2), PossibleDuplicate: r.IntN(2) == 0,
		Bind: str(), LatencyMS: floats[r.IntN(len(floats))],
		Code: sms.Code(str()), Status: r.Uint32() * uint32(r.IntN(2)), StatusName: str(), Reason: str(),
	}
	for range r.IntN(3) {
		res.Parts = append(res.Parts, sms.Part{Number: r.IntN(300), MessageID: str(), RawMessageID: str()})
	}
	if r.IntN(2) == 0 {
		res.Receipt = &sms.Receipt{MessageID: str(), Part: r.IntN(2), PartsTotal: r.IntN(3), State: sms.State(str()), Final: r.IntN(2) == 0,
			ErrorCode: str(), NetworkError: str(), Text: str(), Raw: str(), JobState: sms.State(str())}
		if r.IntN(2) == 0 {
			t := when()
			res.SubmitDate, res.DoneDate = &t, &t
		}
	}
	return res
}

func TestAppendJSONWritesWhatEncodingJSONWrites(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 20_000 {
		res := randomResult(r)
		want, err := json.Marshal(res)
		if err != nil {
			t.Fatal(err)
		}
		got, err := res.AppendJSON([]byte("before "))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff("before "+string(want), string(got)); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}

func TestAppendJSONFailsWhereEncodingJSONFails(t *testing.T) {
	t.Parallel()
	late := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, res := range map[string]*sms.Result{
		"malformed meta":         {Meta: json.RawMessage(`{"a":`)},
		"malformed, spaced meta": {Meta: json.RawMessage(`{ "a" `)},
		"time":                   {Time: late},
		"receipt time":           {Receipt: &sms.Receipt{DoneDate: &late}},
	} {
		if _, err := json.Marshal(res); err == nil {
			t.Errorf("%s: encoding/json accepts it", name)
		}
		if _, err := res.AppendJSON(nil); err == nil {
			t.Errorf("%s: AppendJSON accepts it", name)
		}
	}
}

func goodResult(kind sms.Kind) *sms.Result {
	r := &sms.Result{ID: "x", Kind: kind, JobID: "a", Producer: "shop", Route: "acme", Time: time.Unix(1, 0)}
	switch kind {
	case sms.KindSubmitted:
		r.Parts = []sms.Part{{Number: 1}}
	case sms.KindReceipt:
		r.Receipt = &sms.Receipt{MessageID: "1", State: sms.StateDelivered, Final: true}
	default:
		r.Reason, r.Code = "because", sms.CodeRejected
	}
	return r
}

func TestResultsAreValidatedByKind(t *testing.T) {
	t.Parallel()
	s := schema(t, "result")
	refused := func(change string, r *sms.Result) {
		t.Helper()
		if err := r.Validate(); sms.CodeOf(err) != sms.CodeInvalid {
			t.Errorf("%s %s: %v", r.Kind, change, err)
		}
		enc, _ := r.AppendJSON(nil)
		if conforms(s, enc) == nil {
			t.Errorf("%s %s: the schema accepts %s", r.Kind, change, enc)
		}
	}
	for _, kind := range sms.Kinds() {
		r := goodResult(kind)
		if err := r.Validate(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		enc, err := r.AppendJSON(nil)
		if err != nil || conforms(s, enc) != nil {
			t.Errorf("%s: %v, %v", kind, err, conforms(s, enc))
		}
		for change, f := range map[string]func(*sms.Result){
			"without id":          func(r *sms.Result) { r.ID = "" },
			"without job id":      func(r *sms.Result) { r.JobID = "" },
			"with a bad route":    func(r *sms.Result) { r.Route = "a.b" },
			"with a bad via":      func(r *sms.Result) { r.Via = "a.b" },
			"with a bad producer": func(r *sms.Result) { r.Producer = "" },
			"of unknown kind":     func(r *sms.Result) { r.Kind = "done" },
		} {
			r := goodResult(kind)
			f(r)
			refused(change, r)
		}
	}
	for change, f := range map[string]func(*sms.Result){
		"without reason":    func(r *sms.Result) { r.Reason = "" },
		"without code":      func(r *sms.Result) { r.Code = "" },
		"with another code": func(r *sms.Result) { r.Code = "nope" },
		"with a state":      func(r *sms.Result) { r.Receipt = &sms.Receipt{State: sms.StateDelivered} },
	} {
		r := goodResult(sms.KindFailed)
		f(r)
		refused(change, r)
	}
	r := goodResult(sms.KindSubmitted)
	r.Via = r.Route
	if err := r.Validate(); sms.CodeOf(err) != sms.CodeInvalid { // a schema cannot say so
		t.Errorf("by way of its own route: %v", err)
	}
	r = goodResult(sms.KindSubmitted)
	r.Parts = nil
	refused("without parts", r)
	r = goodResult(sms.KindReceipt)
	r.State = "GONE"
	refused("with another state", r)
	r = goodResult(sms.KindReceipt)
	r.Receipt = nil
	refused("without receipt", r)
	r = goodResult(sms.KindReceipt)
	r.Producer, r.JobID = sms.UnmatchedProducer, ""
	if err := r.Validate(); err != nil {
		t.Errorf("unmatched receipt: %v", err)
	}
}

func TestReceiptIDsTellReceiptsApartAndHideNumbers(t *testing.T) {
	t.Parallel()
	done, zoned := time.Unix(1_700_000_000, 0).UTC(), time.Unix(1_700_000_000, 999).In(time.FixedZone("", 3600))
	base := sms.ReceiptID("acme", "447700900123-1", sms.StateDelivered, "000", &done)
	if again := sms.ReceiptID("acme", "447700900123-1", sms.StateDelivered, "000", &zoned); again != base {
		t.Errorf("the same instant in another zone: %s, want %s", again, base)
	}
	if strings.Contains(base, "4477") || len(base) != 24 {
		t.Errorf("id %s", base)
	}
	later := done.Add(time.Second)
	for i, other := range []string{
		sms.ReceiptID("acme2", "447700900123-1", sms.StateDelivered, "000", &done),
		sms.ReceiptID("acme", "447700900123-2", sms.StateDelivered, "000", &done),
		sms.ReceiptID("acme", "447700900123-1", sms.StateEnroute, "000", &done),
		sms.ReceiptID("acme", "447700900123-1", sms.StateDelivered, "001", &done),
		sms.ReceiptID("acme", "447700900123-1", sms.StateDelivered, "000", &later),
		sms.ReceiptID("acme", "447700900123-1", sms.StateDelivered, "000", nil),
		sms.ReceiptID("acme4", "47700900123-1", sms.StateDelivered, "000", &done),
	} {
		if other == base {
			t.Errorf("case %d: same id", i)
		}
	}
}
