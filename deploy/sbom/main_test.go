package main

import (
	"bytes"
	"encoding/json"
	"os"
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestABillListsWhatIsLinked(t *testing.T) {
	t.Parallel()
	got := billOf(&debug.BuildInfo{
		GoVersion: "go1.26.0", Path: "example.com/m/cmd/tool", Main: debug.Module{Path: "example.com/m", Version: "(devel)"},
		Deps: []*debug.Module{
			{Path: "example.com/a", Version: "v1.0.0+incompatible", Sum: "h1:abc="},
			{Path: "example.com/b", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/c", Version: "v2.0.0"}},
		},
		Settings: []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "-trimpath", Value: "true"}},
	}, "v1.2.0")
	want := bill{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: metadata{component{
			Type: "application", Ref: "pkg:golang/example.com/m@v1.2.0", Name: "tool", Version: "v1.2.0", PURL: "pkg:golang/example.com/m@v1.2.0",
			Properties: []property{{"go:GOOS", "linux"}},
		}},
		Components: []component{
			{Type: "library", Ref: "pkg:golang/std@1.26.0", Name: "std", Version: "1.26.0", PURL: "pkg:golang/std@1.26.0"},
			{
				Type: "library", Ref: "pkg:golang/example.com/a@v1.0.0+incompatible", Name: "example.com/a", Version: "v1.0.0+incompatible",
				PURL: "pkg:golang/example.com/a@v1.0.0+incompatible", Properties: []property{{"go:sum", "h1:abc="}},
			},
			{Type: "library", Ref: "pkg:golang/example.com/c@v2.0.0", Name: "example.com/c", Version: "v2.0.0", PURL: "pkg:golang/example.com/c@v2.0.0"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestABinaryIsReadAndOthersAreRefused(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := write(&out, self, ""); err != nil {
		t.Fatal(err)
	}
	var b bill
	if err := json.Unmarshal(out.Bytes(), &b); err != nil {
		t.Fatal(err)
	}
	if len(b.Components) == 0 || b.Components[0].Name != "std" {
		t.Errorf("the test's own binary lists %v", b.Components)
	}
	if err := write(&out, "main_test.go", ""); err == nil {
		t.Error("a source file has a bill")
	}
}
