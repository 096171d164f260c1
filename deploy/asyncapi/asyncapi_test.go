package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

const golden = "../../dispatcher/sms/testdata/golden"

// published is deploy/asyncapi.yaml as JSON.
func published(t *testing.T) any {
	t.Helper()
	text, err := os.ReadFile("../asyncapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	data, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	return decoded(t, data)
}

func decoded(t *testing.T, data []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// compiled compiles what at points to in doc, by draft-07 unless doc says otherwise.
func compiled(t *testing.T, doc any, at string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.AssertFormat()
	c.AssertContent()
	if err := c.AddResource("doc.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("doc.json" + at)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheDocumentIsWhatTheCodeSays(t *testing.T) {
	t.Parallel()
	got, err := os.ReadFile("../asyncapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := document(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("stale; run go run ./deploy/asyncapi > deploy/asyncapi.yaml (-want +got):\n%s", diff)
	}
}

func TestTheDocumentIsAsyncAPI3(t *testing.T) {
	t.Parallel()
	// From npm's @asyncapi/specs 6.11.1 (Apache-2.0), without descriptions and examples.
	packed, err := os.Open("testdata/asyncapi-3.0.0.schema.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	s := compiled(t, decoded(t, spec), "")
	doc := published(t)
	if err := s.Validate(doc); err != nil {
		t.Error(err)
	}
	delete(doc.(map[string]any)["channels"].(map[string]any)["jobs"].(map[string]any), "messages")
	doc.(map[string]any)["channels"].(map[string]any)["jobs"].(map[string]any)["adress"] = "typo"
	if s.Validate(doc) == nil {
		t.Error("the schema accepts anything")
	}
}

// TestTheSchemasJudgeAsThoseOfTheContract has both judge the golden examples,
// and each of them with one member taken away, made wrong or added.
func TestTheSchemasJudgeAsThoseOfTheContract(t *testing.T) {
	t.Parallel()
	doc := published(t)
	accepted, refused := 0, 0
	for _, contract := range contracts {
		raw, err := sms.Schemas.ReadFile("schema/" + contract + ".schema.json")
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := compiled(t, decoded(t, raw), ""), compiled(t, doc, "#/components/schemas/"+contract)
		files, err := filepath.Glob(filepath.Join(golden, contract+"*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%d examples of %s, %v", len(files), contract, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			example := decoded(t, data).(map[string]any)
			if err := theirs.Validate(example); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			for what, v := range mutations(example) {
				want, got := ours.Validate(v) == nil, theirs.Validate(v) == nil
				if want != got {
					t.Errorf("%s, %s: valid by the contract %v, by AsyncAPI %v", filepath.Base(file), what, want, got)
				}
				if want {
					accepted++
				} else {
					refused++
				}
			}
		}
	}
	if accepted < 50 || refused < 50 {
		t.Errorf("%d accepted, %d refused: too few to tell", accepted, refused)
	}
}

// mutations are variants of an example, by what was done to it.
func mutations(example map[string]any) map[string]map[string]any {
	all := make(map[string]map[string]any)
	change := func(what string, f func(map[string]any)) {
		v := make(map[string]any, len(example)+1)
		for k, old := range example {
			v[k] = old
		}
		f(v)
		all[what] = v
	}
	for key := range example {
		change("without "+key, func(v map[string]any) { delete(v, key) })
		for _, wrong := range []any{nil, true, "x", "", []any{}, map[string]any{}, "_unmatched", "latin1"} {
			change(fmt.Sprintf("%s as %#v", key, wrong), func(v map[string]any) { v[key] = wrong })
		}
	}
	for _, key := range []string{"unknown", "udh", "data_coding", "flash", "text", "data", "state", "code", "parts", "parts_missing"} {
		change("with "+key, func(v map[string]any) { v[key] = true })
		change("with a text as "+key, func(v map[string]any) { v[key] = "AAAA" })
	}
	return all
}

func TestEachChannelIsASubjectOfTheContract(t *testing.T) {
	t.Parallel()
	var addresses []string
	for _, c := range published(t).(map[string]any)["channels"].(map[string]any) {
		addresses = append(addresses, c.(map[string]any)["address"].(string))
	}
	slices.Sort(addresses)
	want := []string{"sms.dead.{route}", "sms.inbound.{route}", "sms.jobs.{route}.{lane}.{producer}", "sms.results.{producer}.{route}.{kind}"}
	if diff := cmp.Diff(want, addresses); diff != "" {
		t.Errorf("channels (-want +got):\n%s", diff)
	}
	filled := strings.NewReplacer("{route}", "acme", "{lane}", "bulk", "{producer}", "shop").Replace(want[2])
	if o, err := (sms.Subjects{}).ParseOrigin(filled); err != nil || o != (sms.Origin{Route: "acme", Lane: "bulk", Producer: "shop"}) {
		t.Errorf("%s: %v, %v", filled, o, err)
	}
}
