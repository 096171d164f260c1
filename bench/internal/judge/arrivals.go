package judge

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// Arrivals is when the SMSC read each submit_sm, and when binds began and
// ended, by account (system_id).
type Arrivals struct {
	submits map[string][]time.Time // in order
	refused map[string][]time.Time // those that were not taken in
	binds   map[string][]turn      // in order
}

// turn is a bind that began or ended.
type turn struct {
	at time.Time
	by int // 1 or -1
}

// ReadArrivals reads them from the simulator's record, JSON lines.
func ReadArrivals(r io.Reader) (*Arrivals, error) {
	a := &Arrivals{submits: map[string][]time.Time{}, refused: map[string][]time.Time{}, binds: map[string][]turn{}}
	err := eachLine(r, func(l *line) error {
		switch l.Event {
		case "submit":
			a.submits[l.SystemID] = append(a.submits[l.SystemID], l.Time)
			if l.Status != 0 {
				a.refused[l.SystemID] = append(a.refused[l.SystemID], l.Time)
			}
		case "bind":
			a.binds[l.SystemID] = append(a.binds[l.SystemID], turn{l.Time, 1})
		case "bind_ended":
			a.binds[l.SystemID] = append(a.binds[l.SystemID], turn{l.Until, -1})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// Connections are recorded each for itself.
	for _, of := range []map[string][]time.Time{a.submits, a.refused} {
		for _, all := range of {
			slices.SortFunc(all, time.Time.Compare)
		}
	}
	for _, all := range a.binds {
		slices.SortStableFunc(all, func(x, y turn) int { return x.at.Compare(y.at) })
	}
	return a, nil
}

// Accounts are those that submitted, in order.
func (a *Arrivals) Accounts() []string { return slices.Sorted(maps.Keys(a.submits)) }

// Of is when the account's submit_sm arrived, in order.
func (a *Arrivals) Of(account string) []time.Time { return a.submits[account] }

// RefusedOf is when those of the account's submit_sm arrived that were not taken in.
func (a *Arrivals) RefusedOf(account string) []time.Time { return a.refused[account] }

// Between counts the times within [from, to).
func Between(times []time.Time, from, to time.Time) int {
	lo, _ := slices.BinarySearchFunc(times, from, time.Time.Compare)
	hi, _ := slices.BinarySearchFunc(times, to, time.Time.Compare)
	return hi - lo
}

// MostBinds is how many binds the account had at once at most.
func (a *Arrivals) MostBinds(account string) int {
	now, most := 0, 0
	for _, t := range a.binds[account] {
		now += t.by
		most = max(most, now)
	}
	return most
}

// Excess is the window in which most arrived beyond what a limit allows.
type Excess struct {
	Over   float64       // submit_sm above rate × window + burst; the limit held when it is not above 0
	Window time.Duration // at least a second
	From   time.Time
	Count  int
}

// In tells how much it was, in how long a window, from when on. times are
// those it was found in.
func (e Excess) In(times []time.Time) string {
	if e.Count == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%+.1f in %.2f s from %.0f s on", e.Over, e.Window.Seconds(), e.From.Sub(times[0]).Seconds())
}

// shortest is the window that the promise begins at.
const shortest = time.Second

// ExcessOf looks at every window of a second or more. times are in order.
//
// Over a window [i, j] there are n = j−i+1 arrivals, so n − rate × T is the
// difference of f(k) = k − rate × t(k) at its ends, plus one: the most for an end
// is against the least f of all beginnings. A window of which the arrivals span
// less than a second lasts a second.
func ExcessOf(times []time.Time, rate float64, burst int) Excess {
	worst := Excess{Over: -float64(burst)}
	if len(times) == 0 {
		return worst
	}
	f := func(k int) float64 { return float64(k) - rate*times[k].Sub(times[0]).Seconds() }
	consider := func(i, j int, window time.Duration) {
		n := j - i + 1
		if over := float64(n) - rate*window.Seconds() - float64(burst); over > worst.Over || worst.Count == 0 {
			worst = Excess{Over: over, Window: window, From: times[i], Count: n}
		}
	}
	least, next := 0, 0 // least f of the beginnings that are a second before j; the first that is not
	for j, first := 0, 0; j < len(times); j++ {
		for ; times[j].Sub(times[first]) >= shortest; first++ {
		}
		consider(first, j, shortest)
		for ; next < first; next++ {
			if f(next) < f(least) {
				least = next
			}
		}
		if next > 0 {
			consider(least, j, times[j].Sub(times[least]))
		}
	}
	return worst
}

// Slow is the longest time between a fault and until in which, window by
// window, fewer arrived than half of what came before the fault on average.
func Slow(times []time.Time, fault, until time.Time, window time.Duration) time.Duration {
	const (
		step   = 100 * time.Millisecond
		before = 10 * time.Second
	)
	half := float64(Between(times, fault.Add(-before), fault)) / 2 * window.Seconds() / before.Seconds()
	var since time.Time
	var longest time.Duration
	for at := fault; !at.Add(window).After(until); at = at.Add(step) {
		if float64(Between(times, at, at.Add(window))) >= half {
			since = time.Time{}
			continue
		}
		if since.IsZero() {
			since = at
		}
		longest = max(longest, at.Add(window).Sub(since))
	}
	return longest
}
