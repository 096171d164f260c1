package check

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// workflow is what the workflows here use of GitHub's syntax.
type workflow struct {
	Name string         `json:"name"`
	On   map[string]any `json:"on"`
	Env  map[string]any `json:"env,omitempty"`

	Permissions map[string]string `json:"permissions"`
	Concurrency map[string]any    `json:"concurrency,omitempty"`
	Jobs        map[string]struct {
		Name        string            `json:"name,omitempty"`
		RunsOn      string            `json:"runs-on"`
		Needs       any               `json:"needs,omitempty"`
		If          string            `json:"if,omitempty"`
		Timeout     int               `json:"timeout-minutes"`
		Permissions map[string]string `json:"permissions,omitempty"`
		Env         map[string]any    `json:"env,omitempty"`
		Steps       []struct {
			Name string         `json:"name,omitempty"`
			ID   string         `json:"id,omitempty"`
			If   string         `json:"if,omitempty"`
			Uses string         `json:"uses,omitempty"`
			With map[string]any `json:"with,omitempty"`
			Run  string         `json:"run,omitempty"`
			Env  map[string]any `json:"env,omitempty"`
		} `json:"steps"`
	} `json:"jobs"`
}

func TestWorkflowsAreStrictAndPinned(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../.github/workflows/*.yml")
	if err != nil || len(files) < 2 {
		t.Fatalf("workflows: %v %v", files, err)
	}
	// A tag can be moved, a commit cannot. YAML leaves the comment out, which names the version.
	version := regexp.MustCompile(`^[a-z-]+/[a-z/-]+@[0-9a-f]{40}$`)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var w workflow
		// YAML 1.1 reads a bare `on` as a truth.
		text := regexp.MustCompile(`(?m)^on:`).ReplaceAllString(string(data), `"on":`)
		if err := yaml.UnmarshalStrict([]byte(text), &w); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if len(w.Permissions) == 0 || len(w.On) == 0 {
			t.Errorf("%s: names no permissions, or nothing that starts it", file)
		}
		for name, job := range w.Jobs {
			if job.RunsOn == "" || job.Timeout == 0 || len(job.Steps) == 0 {
				t.Errorf("%s: job %s has no machine, no limit or no steps", file, name)
			}
			for _, s := range job.Steps {
				if (s.Uses == "") == (s.Run == "") {
					t.Errorf("%s: job %s: a step uses and runs both, or neither", file, name)
				}
				if s.Uses != "" && !version.MatchString(s.Uses) {
					t.Errorf("%s: %s is not pinned to a commit", file, s.Uses)
				}
				if strings.Contains(s.Run, "${{ github.event") || strings.Contains(s.Run, "${{ github.ref_name") {
					t.Errorf("%s: job %s writes into a shell what others choose", file, name)
				}
			}
		}
	}
}
