package binds

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheTableOfTransitionsIsWhole(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(len(States()), len(transitions)); diff != "" {
		t.Errorf("states in the table (-want +got):\n%s", diff)
	}
	reached := map[State]bool{}
	for _, s := range States() {
		if len(s.Next()) == 0 {
			t.Errorf("nothing follows %s", s)
		}
		for _, next := range s.Next() {
			if !slices.Contains(States(), next) {
				t.Errorf("%s may become %q, which is no state", s, next)
			}
			reached[next] = true
		}
		if s != StateStopped && s != StateRefused && s != StateBackoff && slices.Contains(s.Next(), StateRefused) != (s == StateBinding) {
			t.Errorf("%s may become refused, which only an answer to a bind request may cause", s)
		}
		if s != StateStopped && !slices.Contains(s.Next(), StateStopped) {
			t.Errorf("%s cannot be stopped", s)
		}
	}
	if len(reached) != len(States()) {
		t.Errorf("reached %v, want all of %v", reached, States())
	}
	StateBound.Next()[0] = "altered"
	if slices.Contains(StateBound.Next(), "altered") {
		t.Error("the table can be altered by those who ask")
	}
}

// checkTransitions fails for each logged transition that the table lacks. Every
// test that runs a pool in a bubble ends with it.
func (l *logs) checkTransitions(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buf.String()) {
		if !strings.Contains(line, "bind changed state") {
			continue
		}
		from, to := State(attr(line, "from")), State(attr(line, "state"))
		if !slices.Contains(from.Next(), to) {
			t.Errorf("from %s to %s, which the table does not have", from, to)
		}
	}
}

// attr returns the value of an attribute in a log line.
func attr(line, key string) string {
	_, rest, _ := strings.Cut(line, " "+key+"=")
	value, _, _ := strings.Cut(rest, " ")
	return strings.TrimSpace(value)
}
