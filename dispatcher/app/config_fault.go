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

// nearest returns the word that a typing mistake most likely meant, or "".
func nearest(word string, words []string) string {
	best, bestDistance := "", max(2, len(word)/3)+1
	for _, w := range words {
		if d := editDistance(strings.ToLower(word), w); d < bestDistance {
			best, bestDistance = w, d
		}
	}
	return best
}

// editDistance is Levenshtein's, in octets.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
