// Package latency counts durations so that their spread can be read while
// others go on counting: one atomic addition each, no lock, no allocation.
package latency

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Four buckets to each power of two of microseconds: what Quantile says is at
// most a fifth too long. The last one takes all from 2^40 µs, thirteen days.
const (
	perOctave = 4
	buckets   = 40 * perOctave
)

// Counts is how many durations fell into each bucket.
type Counts [buckets]uint64

// Histogram is durations of one kind. Its zero value is empty; its methods may
// be called concurrently.
type Histogram struct {
	counts [buckets]atomic.Uint64
}

// Add counts d; what is negative counts as nothing.
func (h *Histogram) Add(d time.Duration) { h.counts[bucket(d)].Add(1) }

// Read copies the counts.
func (h *Histogram) Read(c *Counts) {
	for i := range h.counts {
		c[i] = h.counts[i].Load()
	}
}

// Since returns what was counted after before was read.
func (c *Counts) Since(before *Counts) (d Counts) {
	for i := range c {
		d[i] = c[i] - before[i]
	}
	return d
}

// Total is how many durations there are.
func (c *Counts) Total() (n uint64) {
	for _, k := range c {
		n += k
	}
	return n
}

// Quantile returns the duration below which the share q, 0..1, of all are: the
// upper end of its bucket. It is 0 when there is none.
func (c *Counts) Quantile(q float64) time.Duration {
	rank := uint64(q*float64(c.Total()) + 0.5)
	var n uint64
	for i, k := range c {
		if n += k; k > 0 && n >= rank {
			return upper(i)
		}
	}
	return 0
}

// bucket is where d counts. From 4 µs on it is the position of the highest bit
// and the two bits after it.
func bucket(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < perOctave {
		return int(us)
	}
	top := bits.Len64(us) - 1
	return min((top-1)*perOctave+int(us>>(top-2)&(perOctave-1)), buckets-1)
}

// Octaves is how many there are.
const Octaves = buckets / perOctave

// Octave is where d is among the powers of two: octave 0 ends at 4 µs, each
// further one at twice the one before; the last has no end.
func Octave(d time.Duration) int { return bucket(d) / perOctave }

// OctaveEnd is the end of an octave, of which all durations are below.
func OctaveEnd(octave int) time.Duration { return 4 * time.Microsecond << octave }

// Octaves returns how many durations fell into each octave, and about how long
// all of them took together: off by at most an eighth, since only their
// buckets are known.
func (c *Counts) Octaves() (n [Octaves]uint64, sum time.Duration) {
	for i, k := range c {
		n[i/perOctave] += k
		lower := time.Duration(0)
		if i > 0 {
			lower = upper(i - 1)
		}
		sum += time.Duration(k) * ((lower + upper(i)) / 2)
	}
	return n, sum
}

// upper is the end of a bucket.
func upper(i int) time.Duration {
	if i < perOctave {
		return time.Duration(i+1) * time.Microsecond
	}
	top := i/perOctave + 1
	return time.Duration(uint64(perOctave+i%perOctave+1)<<(top-2)) * time.Microsecond
}
