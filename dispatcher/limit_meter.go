package dispatcher

import (
	"maps"
	"time"
)

// limitMeter adds up how long each limit held.
type limitMeter struct {
	now   Limit
	since time.Time
	spent map[Limit]time.Duration
}

func (m *limitMeter) start() {
	m.now, m.since, m.spent = LimitNone, time.Now(), make(map[Limit]time.Duration)
}

func (m *limitMeter) set(l Limit) {
	if l == m.now {
		return
	}
	at := time.Now()
	m.spent[m.now] += at.Sub(m.since)
	m.now, m.since = l, at
}

func (m *limitMeter) read() (Limit, map[Limit]time.Duration) {
	all := maps.Clone(m.spent)
	all[m.now] += time.Since(m.since)
	return m.now, all
}
