package receipts

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/latency"
)

// delays measures how long final receipts take, on a sample of the messages
// that this worker submitted and whose receipts came to it: each has a place by
// its hash, and one that finds its place taken is not measured. That costs an
// atomic load for most messages, and keeps nothing of them. A place is another's
// after a time, so that messages without receipt do not fill the table: most
// after little, which shows what is quick, some late, which shows what is slow.
type delays struct {
	places [delayPlaces]delayPlace
	spread latency.Histogram
}

const delayPlaces = 1 << 10

// delayKept is for how long a place is a message's, by the last bits of its
// index. Longer delays than the longest are not measured.
var delayKept = [4]time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, time.Hour}

// delayPlace is a message that waits for its receipt. The two are not written
// together: a message that is mistaken for another gives one wrong delay.
type delayPlace struct {
	hash atomic.Uint64 // 0: free
	at   atomic.Int64  // Unix nanoseconds of its acceptance
}

var delaySeed = maphash.MakeSeed()

// place returns the index of a part's place, and its hash, never 0.
func (d *delays) place(c *correlation) (int, uint64) {
	hash := (maphash.String(delaySeed, c.JobID) + uint64(c.Part)<<1) | 1
	return int((hash >> 1) % delayPlaces), hash
}

// accepted hears that the SMSC took a part.
func (d *delays) accepted(c *correlation, at time.Time) {
	i, hash := d.place(c)
	p := &d.places[i]
	if p.hash.Load() != 0 && at.UnixNano()-p.at.Load() < int64(delayKept[i%len(delayKept)]) {
		return
	}
	p.at.Store(at.UnixNano())
	p.hash.Store(hash)
}

// received hears of the final receipt of a part.
func (d *delays) received(c *correlation, at time.Time) {
	i, hash := d.place(c)
	p := &d.places[i]
	if p.hash.Load() != hash {
		return
	}
	since := p.at.Load()
	if p.hash.CompareAndSwap(hash, 0) {
		d.spread.Add(time.Duration(at.UnixNano() - since))
	}
}

// Delays reads how long final receipts of a route took, from submit_sm_resp,
// of a sample, since the Desk was made.
func (d *Desk) Delays(route string, c *latency.Counts) {
	if r, ok := (*d.routes.Load())[route]; ok {
		r.counters.delays.spread.Read(c)
	}
}

// Waiting is how many commands wait for Redis now.
func (d *Desk) Waiting() int { return d.store.group.count() }

// count is how many commands wait or are on their way.
func (g *group) count() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, b := range g.waiting {
		n += len(b.queued)
	}
	if g.flying != nil {
		n += len(g.flying.queued)
	}
	return n
}
