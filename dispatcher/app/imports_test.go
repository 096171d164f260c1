package app_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/shortwire-sms/shortwire/"

// mayImport is the table of ARCHITECTURE.md: what each package may import of
// this module. Tests and programs are free.
var mayImport = map[string][]string{
	"dispatcher/sms":                {},
	"dispatcher/sms/publish":        {"dispatcher/internal/jscode", "dispatcher/sms"},
	"dispatcher/text":               {"dispatcher/sms"},
	"dispatcher/failpoint":          {},
	"dispatcher/latency":            {},
	"dispatcher/spell":              {},
	"binds/smpp":                    {"dispatcher/failpoint", "dispatcher/sms"},
	"binds":                         {"binds/smpp", "dispatcher/sms"},
	"binds/smsctest":                {},
	"ratelimit":                     {"dispatcher/sms"},
	"receipts":                      {"dispatcher/failpoint", "dispatcher/latency", "dispatcher/sms", "dispatcher/text"},
	"receipts/redistest":            {},
	"deploy/asyncapi":               {"dispatcher/sms"},
	"deploy/examples":               {},
	"deploy/examples/consumer":      {"dispatcher/sms"},
	"deploy/examples/producer":      {"dispatcher/sms", "dispatcher/sms/publish"},
	"deploy/scaling":                {},
	"deploy/sbom":                   {},
	"dispatcher/app/apptest":        {"binds/smsctest", "dispatcher/app", "dispatcher/sms", "receipts/redistest"},
	"dispatcher":                    {"dispatcher/failpoint", "dispatcher/latency", "dispatcher/sms", "dispatcher/text"},
	"dispatcher/internal/jetstream": {"dispatcher", "dispatcher/internal/jscode", "dispatcher/sms", "dispatcher/sms/publish"},
	"dispatcher/internal/jscode":    {},
	"dispatcher/internal/admin":     {},
	"dispatcher/internal/telemetry": {"dispatcher", "dispatcher/sms", "receipts"},
	"dispatcher/app": {
		"binds", "binds/smpp", "dispatcher", "dispatcher/internal/admin", "dispatcher/internal/jetstream", "dispatcher/internal/telemetry",
		"dispatcher/latency", "dispatcher/sms", "dispatcher/sms/publish", "dispatcher/spell", "dispatcher/text", "ratelimit", "receipts",
	},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func goList(t *testing.T, args ...string) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Imports"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v\n%s", args, err, stderr.Bytes())
	}
	var pkgs []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p goPackage
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	return pkgs
}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	for _, p := range goList(t, module+"...") {
		path := strings.TrimPrefix(p.ImportPath, module)
		allowed, listed := mayImport[path]
		if !listed {
			if top, _, _ := strings.Cut(path, "/"); top == "cmd" || top == "bench" || strings.HasPrefix(path, "binds/interop") {
				continue
			}
			t.Errorf("package %s is not in the table of ARCHITECTURE.md and of this test", path)
			continue
		}
		for _, imp := range p.Imports {
			if own, ok := strings.CutPrefix(imp, module); ok && !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s, which the table does not allow", path, own)
			}
		}
	}
}

func TestContractAndTextNeedTheStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	for _, p := range goList(t, module+"dispatcher/sms", module+"dispatcher/text") {
		for _, imp := range p.Imports {
			if first, _, _ := strings.Cut(imp, "/"); strings.Contains(first, ".") && !strings.HasPrefix(imp, module) {
				t.Errorf("%s imports %s", p.ImportPath, imp)
			}
		}
	}
}

func TestWorkerBinaryLinksNoServerAndNoTestCode(t *testing.T) {
	t.Parallel()
	for _, p := range goList(t, "-tags=grpcnotrace", "-deps", module+"cmd/shortwire") { // as it is released
		for _, banned := range []string{
			"github.com/nats-io/nats-server", "github.com/alicebob/miniredis", module + "binds/smsctest",
			"golang.org/x/net/trace", // keeps the linker from leaving out methods that nothing calls
		} {
			if strings.HasPrefix(p.ImportPath, banned) {
				t.Errorf("cmd/shortwire links %s", p.ImportPath)
			}
		}
		if p.ImportPath == "testing" {
			t.Error("cmd/shortwire links testing")
		}
	}
}
