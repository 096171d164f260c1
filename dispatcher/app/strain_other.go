//go:build !unix

package app

import "time"

func processTime() (time.Duration, bool) { return 0, false }

func machineTicks() (busy, idle uint64) { return 0, 0 }
