package peers

import (
	"strings"
	"testing"
)

func TestNodeThatIsMissingIsNamedWithHowToInstallIt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := nodeNeeds(t.Context())
	if err == nil || !strings.Contains(err.Error(), "npm ci") {
		t.Errorf("error %v, want what to install", err)
	}
}
