package main

import (
	"bytes"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestSnippetsOfTheDocumentsAreRight(t *testing.T) {
	t.Parallel()
	snippets := map[string]int{}
	for _, name := range documents {
		d := read(t, name)
		for _, b := range d.blocks {
			snippets[b.lang]++
			var err error
			switch b.lang {
			case "yaml":
				err = loads(name, b.text)
			case "json":
				err = conforms([]byte(b.text))
			case "", "sh":
			default:
				t.Errorf("%s:%d: nobody knows how to check %s", name, b.line, b.lang)
			}
			if err != nil {
				t.Errorf("%s:%d: %v", name, b.line, err)
			}
		}
	}
	if snippets["yaml"] < 1 || snippets["json"] < 5 || snippets["sh"] < 8 {
		t.Errorf("snippets found: %v, want them all", snippets)
	}
}

// loads has the worker's own loader read a configuration, or a part of one.
// Files that it names may be missing here.
func loads(name, text string) error {
	if !strings.Contains("\n"+text, "\nroutes:") {
		text += "routes: [{name: acme, endpoints: [\"127.0.0.1:2775\"], system_id: acme, password_env: ACME_PASSWORD}]\n"
	}
	_, err := app.Parse(name, []byte(text), func(string) string { return "secret" })
	var faults app.Faults
	if !errors.As(err, &faults) {
		return err
	}
	faults = slices.DeleteFunc(faults, func(f app.Fault) bool { return strings.Contains(f.Message, "which cannot be read: no such file") })
	if len(faults) == 0 {
		return nil
	}
	return faults
}

// conforms holds a job, a result or an inbound message to its schema.
func conforms(data []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	contract := "job"
	if o, ok := v.(map[string]any); ok && o["kind"] != nil {
		contract = "result"
	} else if ok && o["bind"] != nil {
		contract = "inbound"
	}
	raw, err := sms.Schemas.ReadFile("schema/" + contract + ".schema.json")
	if err != nil {
		return err
	}
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(contract, schema); err != nil {
		return err
	}
	s, err := c.Compile(contract)
	if err != nil {
		return err
	}
	return s.Validate(v)
}

func TestLinksOfTheDocumentsLeadSomewhere(t *testing.T) {
	t.Parallel()
	links := 0
	inProse(t, docLink, func(name, text string) {
		links++
		target, err := url.Parse(text)
		if err != nil || target.Scheme != "" {
			return // what is elsewhere cannot be looked at here
		}
		file := name
		if target.Path != "" {
			file = filepath.Join(filepath.Dir(name), target.Path)
		}
		if _, err := os.Stat(filepath.Join("../..", file)); err != nil {
			t.Errorf("%s: %s is not there", name, text)
		} else if target.Fragment != "" && !anchors(read(t, file).text)[target.Fragment] {
			t.Errorf("%s: %s has no heading #%s", name, file, target.Fragment)
		}
	})
	if links < 30 {
		t.Errorf("%d links found, want them all", links)
	}
}

// anchors are the headings of a document as links name them.
func anchors(text string) map[string]bool {
	all := make(map[string]bool)
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		all[strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return all
}
