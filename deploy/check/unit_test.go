package check

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const unitFile = "../systemd/shortwire.service"

func TestTheUnitIsOneThatSystemdTakes(t *testing.T) {
	t.Parallel()
	tool(t, "systemd-analyze")
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	// Verify wants the program to be there.
	unit := filepath.Join(t.TempDir(), "shortwire.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/shortwire", "/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run(t, "systemd-analyze", "verify", "--man=no", unit); strings.TrimSpace(out) != "" {
		t.Errorf("it warns: %s", out)
	}
}

func TestTheUnitIsExposedLittle(t *testing.T) {
	t.Parallel()
	tool(t, "systemd-analyze")
	run(t, "systemd-analyze", "security", "--offline=true", "--threshold=20", unitFile) // tenths; 0 is best, 100 worst
}
