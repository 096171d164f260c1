package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAVersionSaysWhatItWasBuiltFrom(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		of   build
		want string
	}{
		"a release": {
			build{Version: "v1.2.0", Commit: "0123456789abcdef0123456789abcdef01234567", Date: "2026-03-01T12:00:00Z", Go: "go1.26.0", Platform: "linux/arm64"},
			"shortwire v1.2.0 (commit 0123456789ab, 2026-03-01T12:00:00Z) go1.26.0 linux/arm64",
		},
		"a changed checkout": {
			build{Version: "devel", Commit: "0123456789ab", Modified: true, Go: "go1.26.0", Platform: "linux/amd64"},
			"shortwire devel (commit 0123456789ab, modified) go1.26.0 linux/amd64",
		},
		"a build that knows nothing": {
			build{Version: "devel", Go: "go1.26.0", Platform: "linux/amd64"},
			"shortwire devel go1.26.0 linux/amd64",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, c.of.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
