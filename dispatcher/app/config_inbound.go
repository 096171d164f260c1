package app

import (
	"time"

	"github.com/shortwire-sms/shortwire/receipts"
)

// InboundConfig is about messages from handsets.
type InboundConfig struct {
	JoinTimeout time.Duration `yaml:"join_timeout"` // how long parts wait for the others, 1s..24h, from the first on, and how long a joined message is remembered to drop its repeats; 0 publishes each part. Default 10m
}

func (c *InboundConfig) setDefaults() { *c = InboundConfig{JoinTimeout: 10 * time.Minute} }

func (c *checker) inbound(path string, i *InboundConfig) {
	if i.JoinTimeout != 0 {
		within(c, path+".join_timeout", i.JoinTimeout, time.Second, 24*time.Hour)
	}
}

// joinTimeout is the desk's view of it.
func (c *InboundConfig) joinTimeout() time.Duration {
	if c.JoinTimeout == 0 {
		return -1
	}
	return c.JoinTimeout
}

// InboundStatus counts messages from handsets.
type InboundStatus struct {
	Published  int64 `json:"published"`  // parts that were joined count once
	Incomplete int64 `json:"incomplete"` // of these, with parts missing
	Repeats    int64 `json:"repeats"`    // joined messages, or parts of them, that came again and were dropped
}

func inboundStatus(s receipts.RouteStats) InboundStatus {
	return InboundStatus{Published: s.Inbound, Incomplete: s.Incomplete, Repeats: s.Repeats}
}
