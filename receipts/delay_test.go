package receipts

import (
	"fmt"
	"testing"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/latency"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func part(job string, n int) *correlation {
	return &correlation{JobRef: sms.JobRef{JobID: job}, Part: n}
}

func TestDelaysAreThoseOfTheirMessages(t *testing.T) {
	t.Parallel()
	var d delays
	var c latency.Counts
	at := time.Unix(1e9, 0)
	d.accepted(part("j", 1), at)
	d.accepted(part("j", 2), at)
	d.received(part("other", 1), at.Add(time.Second))
	d.received(part("j", 3), at.Add(time.Second))
	d.received(part("j", 1), at.Add(2*time.Second))
	d.received(part("j", 1), at.Add(9*time.Second)) // a repeat
	d.received(part("j", 2), at.Add(2*time.Second))
	if d.spread.Read(&c); c.Total() != 2 || c.Quantile(0) < 2*time.Second || c.Quantile(1) > 3*time.Second {
		t.Errorf("%d delays of %v to %v", c.Total(), c.Quantile(0), c.Quantile(1))
	}
}

func TestMessagesWithoutReceiptDoNotKeepOthersFromBeingMeasured(t *testing.T) {
	t.Parallel()
	var d delays
	var c latency.Counts
	at := time.Unix(1e9, 0)
	for i := range 100 * delayPlaces {
		d.accepted(part(fmt.Sprintf("silent-%d", i), 1), at)
	}
	at = at.Add(11 * time.Second)
	for i := range 100 {
		job := part(fmt.Sprintf("heard-%d", i), 1)
		d.accepted(job, at)
		d.received(job, at.Add(time.Second))
	}
	if d.spread.Read(&c); c.Total() < 5 || c.Quantile(1) > 2*time.Second {
		t.Errorf("%d of 100 measured, up to %v", c.Total(), c.Quantile(1))
	}
}

func TestMeasuringADelayAllocatesNothing(t *testing.T) {
	var d delays
	job, at := part("j", 1), time.Now()
	if n := testing.AllocsPerRun(100, func() { d.accepted(job, at); d.received(job, at) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
