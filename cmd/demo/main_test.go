package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

const asDemo = "SHORTWIRE_TEST_IS_DEMO"

// TestMain is the demo itself where a test runs it.
func TestMain(m *testing.M) {
	if os.Getenv(asDemo) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// sent is what is personal in the jobs of a demo: beside each text how it begins.
func sent(t *testing.T, jobs int, seed uint64) apptest.Private {
	t.Helper()
	numbers, texts := []string{"447700900999"}, []string{"misspelt field"}
	for _, o := range mix(jobs, rand.New(rand.NewPCG(seed, 0))) {
		var job sms.Job
		if err := json.Unmarshal(o.body, &job); err != nil {
			t.Fatal(err)
		}
		if number, ok := strings.CutPrefix(job.To, "+"); ok {
			numbers = append(numbers, number)
		}
		if job.Text != nil {
			texts = append(texts, *job.Text)
			if runes := []rune(*job.Text); len(runes) > 16 {
				texts = append(texts, string(runes[:16]))
			}
		}
	}
	return apptest.PrivateForms(numbers, texts)
}

func TestTheDemoShowsNoNumberAndNoTextThatItSent(t *testing.T) {
	t.Parallel()
	var exported, said, traced apptest.Log
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(&exported, r.Body); err != nil {
			t.Error(err)
		}
	}))
	defer collector.Close()
	demo := exec.CommandContext(t.Context(), os.Args[0], "-jobs", "60", "-seed", "7", "-v", "-json", "-keep")
	demo.Env = append(os.Environ(), asDemo+"=1", "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "OTEL_METRIC_EXPORT_INTERVAL=500")
	demo.Stderr = &said
	out, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	outputs := make(map[string][]byte)
	var printed bytes.Buffer
	page := ""
	var reading sync.WaitGroup
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Everything is still running.") { // commands with other numbers follow
		printed.WriteString(lines.Text() + "\n")
		if url, ok := strings.CutPrefix(lines.Text(), "The worker's status page: "); ok {
			page = url
			pdus := trace(t, page)
			defer pdus.Close()
			reading.Go(func() { _, _ = io.Copy(&traced, pdus) }) // until the demo ends
		}
	}
	if page == "" {
		t.Fatalf("the demo has no page: %s%s", &printed, said.String())
	}
	for _, path := range []string{"", "status", "fleet", "metrics"} {
		resp, err := http.Get(page + path)
		if err != nil {
			t.Fatal(err)
		}
		if outputs["/"+path], err = io.ReadAll(resp.Body); err != nil {
			t.Error(err)
		}
		resp.Body.Close()
	}
	if err := demo.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	for lines.Scan() {
	}
	if err := demo.Wait(); err != nil {
		t.Errorf("the demo ends with %v: %s", err, said.String())
	}
	reading.Wait()
	outputs["standard output"], outputs["the log"] = printed.Bytes(), []byte(said.String())
	outputs["what is exported"], outputs["the trace"] = []byte(exported.String()), []byte(traced.String())
	private := sent(t, 60, 7)
	for where, output := range outputs {
		private.Absent(t, where, output)
	}
	for where, part := range map[string]string{
		"/": "<!doctype html>", "/status": `"submitted": 57`, "/fleet": `"acme"`, "/metrics": "shortwire_outcomes_total", "standard output": "60 published, 60 with an outcome",
		"the log": "level=INFO", "what is exported": "submit_sm acme", "the trace": `"masked":true`,
	} {
		if !bytes.Contains(bytes.ToLower(outputs[where]), []byte(strings.ToLower(part))) {
			t.Errorf("%s has no %s: %.2000s", where, part, outputs[where])
		}
	}
}

func TestADemoThatHearsNothingSaysSoAndFails(t *testing.T) {
	t.Parallel()
	demo := exec.CommandContext(t.Context(), os.Args[0], "-jobs", "10", "-timeout", "1ns")
	demo.Env = append(os.Environ(), asDemo+"=1")
	out, err := demo.CombinedOutput()
	if want := "demo: not settled, and no result came for 1ns (seed "; err == nil || !strings.Contains(string(out), want) {
		t.Errorf("no %q, %v:\n%s", want, err, out)
	}
}

// trace has the PDUs of the route, from when the worker knows it.
func trace(t *testing.T, page string) (pdus io.ReadCloser) {
	t.Helper()
	apptest.Until(t, "the route is traced", func() bool {
		resp, err := http.Post(page+"trace/"+route+"?for=1h&max=100000", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode == http.StatusOK {
			pdus = resp.Body
			return true
		}
		resp.Body.Close()
		return false
	})
	return pdus
}
