//go:build unix

package app

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"
)

// processTime is how long this process has kept processors busy.
func processTime() (d time.Duration, known bool) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), true
}

// machineTicks is how long all processors were busy and idle since the machine
// began: the first line of /proc/stat (proc_stat(5)), zeros where there is none.
func machineTicks() (busy, idle uint64) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	for i, word := range bytes.Fields(line) {
		n, err := strconv.ParseUint(string(word), 10, 64)
		switch {
		case err != nil: // cpu
		case i == 4 || i == 5: // idle, iowait
			idle += n
		case i <= 8: // not guest: it is in user
			busy += n
		}
	}
	return busy, idle
}
