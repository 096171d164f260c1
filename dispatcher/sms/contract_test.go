package sms_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// schema compiles one of the contract's schemas.
func schema(tb testing.TB, name string) *jsonschema.Schema {
	tb.Helper()
	raw, err := sms.Schemas.ReadFile("schema/" + name + ".schema.json")
	if err != nil {
		tb.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		tb.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.AssertContent()
	if err := c.AddResource(name, doc); err != nil {
		tb.Fatal(err)
	}
	s, err := c.Compile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func conforms(s *jsonschema.Schema, data []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

func compact(tb testing.TB, data []byte) string {
	tb.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

// strict decodes with encoding/json and refuses unknown fields.
func strict(tb testing.TB, data []byte, v any) {
	tb.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		tb.Fatal(err)
	}
}

func TestGoldenExamplesConformAndSurviveARoundTrip(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/golden/*.json")
	if err != nil || len(files) != 14 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			contract, _, _ := strings.Cut(name, "-")
			if err := conforms(schema(t, contract), golden); err != nil {
				t.Error(err)
			}
			var again []byte
			switch contract {
			case "job":
				again = roundTripJob(t, golden)
			case "result":
				again = roundTripResult(t, golden)
			case "inbound":
				var in sms.Inbound
				strict(t, golden, &in)
				if again, err = json.Marshal(in); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(compact(t, golden), string(again)); diff != "" {
				t.Errorf("decoded and encoded (-want +got):\n%s", diff)
			}
		})
	}
}

func roundTripJob(t *testing.T, golden []byte) []byte {
	t.Helper()
	job, err := sms.DecodeJob(golden)
	if err != nil {
		t.Fatal(err)
	}
	if err := job.Validate(); err != nil {
		t.Error(err)
	}
	var plain sms.Job
	strict(t, golden, &plain)
	if plain.Delivery == "" {
		plain.Delivery = sms.AtLeastOnce
	}
	if plain.Text != nil && plain.Encoding == "" {
		plain.Encoding = sms.EncodingAuto
	}
	if diff := cmp.Diff(&plain, job); diff != "" {
		t.Errorf("DecodeJob differs from encoding/json (-want +got):\n%s", diff)
	}
	if !bytes.Contains(golden, []byte(`"delivery"`)) {
		job.Delivery = ""
	}
	if !bytes.Contains(golden, []byte(`"encoding"`)) {
		job.Encoding = ""
	}
	again, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func roundTripResult(t *testing.T, golden []byte) []byte {
	t.Helper()
	var r sms.Result
	strict(t, golden, &r)
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
	if (r.Receipt != nil) != (r.Kind == sms.KindReceipt) {
		t.Errorf("kind %s with receipt %v", r.Kind, r.Receipt)
	}
	if r.Kind.Terminal() && r.ID != sms.OutcomeID(r.Producer, r.JobID) {
		t.Errorf("id %s, want %s", r.ID, sms.OutcomeID(r.Producer, r.JobID))
	}
	if r.Receipt != nil {
		raw, _, _ := strings.Cut(strings.TrimPrefix(r.Raw, "id:"), " ")
		if want := sms.ReceiptID(r.Route, raw, r.State, r.ErrorCode, r.DoneDate); r.ID != want {
			t.Errorf("id %s, want %s", r.ID, want)
		}
	}
	again, err := json.Marshal(&r)
	if err != nil {
		t.Fatal(err)
	}
	fast, err := r.AppendJSON(nil)
	if err != nil || !bytes.Equal(again, fast) {
		t.Errorf("AppendJSON: %s, %v", fast, err)
	}
	return again
}

func TestSchemasAndStructsHaveTheSameFields(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]any{"job": sms.Job{}, "result": sms.Result{}, "inbound": sms.Inbound{}} {
		want := jsonFields(reflect.TypeOf(v))
		var got []string
		for field := range schema(t, name).Properties {
			got = append(got, field)
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-struct +schema):\n%s", name, diff)
		}
	}
}

func jsonFields(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			names = append(names, jsonFields(f.Type.Elem())...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "-" {
			names = append(names, name)
		}
	}
	return names
}
