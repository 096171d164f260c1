// Package failpoint names the points at which the crash table is tested. In a
// build with the tag failpoints, SHORTWIRE_FAILPOINT=name:n has the process end
// itself with SIGKILL at the n-th pass of the point; in every other build the
// calls are empty, are inlined, and leave nothing in the binary.
package failpoint
