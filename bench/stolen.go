package main

import (
	"bytes"
	"context"
	"os"
	"strconv"
)

// ticks are what the machine's processors had done at a moment, since it began.
type ticks struct{ stolen, all uint64 }

// machineTicks reads the first line of /proc/stat (proc_stat(5)): zeros where
// there is none.
func machineTicks() (t ticks) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return t
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	for i, word := range bytes.Fields(line) {
		n, err := strconv.ParseUint(string(word), 10, 64)
		switch {
		case err != nil: // cpu
		case i == 8:
			t.stolen = n
			t.all += n
		case i < 8: // not guest: it is in user
			t.all += n
		}
	}
	return t
}

// since is the share of the processors that the machine's host gave to others.
func (t ticks) since(before ticks) float64 {
	return ratio(float64(t.stolen-before.stolen), float64(t.all-before.all))
}

// repeats is how often a round is measured again.
const repeats = 2

// calm measures a setting, and again while more than a share of the processors
// was kept from the machine, which slows whom it meets. The calmest round
// counts; of the others only what was lost or duplicated does.
func (b *bench) calm(ctx context.Context, set setting, run runFunc) (*round, error) {
	best, err := b.with(ctx, set, run)
	for n := 0; n < repeats && err == nil && best.Stolen > b.o.steal && !b.o.quick; n++ {
		progress("  %s: once more", best)
		again, err := b.with(ctx, set, run)
		if err != nil {
			b.rep.fail(err)
			break
		}
		b.rep.Repeated++
		if again.Stolen < best.Stolen {
			best, again = again, best
		}
		b.rep.fault(again)
	}
	return best, err
}
