package app

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong with a configuration.
type Fault struct {
	File    string // path of the configuration as it was given
	Line    int    // 1-based; 0 when it is about no place in particular
	Path    string // "routes[2].window"; empty when it is about the file
	Message string // "must be 1..10000, is 0"
}

// String formats the fault as "file:12: routes[2].window: must be 1..10000, is 0".
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	if f.Path != "" {
		b.WriteString(": " + f.Path)
	}
	return b.String() + ": " + f.Message
}

// Faults is everything wrong with a configuration, in the order of the file.
type Faults []Fault

// Error implements error: one line per fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

func (f Faults) sort() {
	slices.SortStableFunc(f, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
}
