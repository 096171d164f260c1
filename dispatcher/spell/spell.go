// Package spell finds the word that a typing mistake most likely meant.
package spell

import "strings"

// Nearest returns the one of words that is nearest to word, "" when none is
// near: within two changes, or a third of the letters. words are in lower case.
func Nearest(word string, words []string) string {
	best, bestDistance := "", max(2, len(word)/3)+1
	for _, w := range words {
		if d := distance(strings.ToLower(word), w); d < bestDistance {
			best, bestDistance = w, d
		}
	}
	return best
}

// Hint is "; did you mean W?" with the nearest of words, "" when none is near.
func Hint(word string, words []string) string {
	if near := Nearest(word, words); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// distance is Levenshtein's, in octets.
func distance(a, b string) int {
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
