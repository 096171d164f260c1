//go:build failpoints

package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var (
	armed, pass = parse(os.Getenv("SHORTWIRE_FAILPOINT"))
	passes      atomic.Int64
)

// parse reads name:n; the n-th pass is the last, the first when n is missing.
func parse(s string) (name string, n int64) {
	name, count, _ := strings.Cut(s, ":")
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		n = 1
	}
	return name, n
}

// Hit ends the process with SIGKILL when this pass of the point is the one asked for.
func Hit(name string) {
	if name == armed && passes.Add(1) == pass {
		die(name)
	}
}

// Cut returns n, or half of it when the next Hit of that name ends the process.
func Cut(name string, n int) int {
	if name == armed && passes.Load()+1 == pass {
		return n / 2
	}
	return n
}

func die(name string) {
	_, _ = os.Stderr.WriteString("failpoint " + name + "\n")
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // nothing of this goroutine runs before the signal arrives
}
