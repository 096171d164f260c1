//go:build !failpoints

package failpoint

// Hit does nothing in this build.
func Hit(string) {}

// Cut returns n in this build.
func Cut(_ string, n int) int { return n }
