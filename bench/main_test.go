package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestExitCodeTellsWhatWasLostAndWhatCouldNotBeMeasured(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		report report
		want   int
	}{
		"all well":          {report{}, 0},
		"lost":              {report{Lost: 1}, 1},
		"duplicated":        {report{Duplicates: 1, Failures: []string{"x"}}, 1},
		"not all measured":  {report{Failures: []string{"x"}}, 2},
		"a peer is missing": {report{Missing: []string{"x"}}, 0},
	} {
		b, err := json.Marshal(c.report)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "results.json")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := run(t.Context(), []string{"--render", path}); got != c.want {
			t.Errorf("%s: exit code %d, want %d", name, got, c.want)
		}
	}
	if got := run(t.Context(), []string{"--jobs", "0"}); got != 2 {
		t.Errorf("wrong flag: exit code %d, want 2", got)
	}
}
