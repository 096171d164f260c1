//go:build failpoints

package crash_test

// whole runs every row in every way; else one way of each.
const whole = true
