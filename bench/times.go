package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
)

// times is when everything happened to each job, in Unix nanoseconds by the
// one clock of the machine: published by this process, arrived and sent by the
// simulator's, stored by the NATS server's.
type times struct {
	due       []int64          // when a job should be published
	published []int64          // when it was handed to the connection
	arrived   []int64          // when the SMSC read its submit_sm; 0 never
	sent      map[uint64]int64 // when the SMSC sent a receipt, by message id
	receipts  []receipt
}

// receipt is one that was stored.
type receipt struct{ sent, stored int64 }

func newTimes(jobs int) *times {
	return &times{due: make([]int64, 0, jobs), published: make([]int64, 0, jobs), arrived: make([]int64, jobs), sent: map[uint64]int64{}}
}

// publish adds a job that is published.
func (t *times) publish(due, at time.Time) {
	t.due, t.published = append(t.due, due.UnixNano()), append(t.published, at.UnixNano())
}

// began is when the first job was published.
func (t *times) began() time.Time {
	if len(t.published) == 0 {
		return time.Time{}
	}
	return time.Unix(0, t.published[0])
}

// read reads what the simulator wrote (smsctest.Config.TimesTo).
func (t *times) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the simulator's times: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if err := t.line(lines.Bytes()); err != nil {
			return fmt.Errorf("the simulator's times: %w", err)
		}
	}
	return lines.Err()
}

func (t *times) line(b []byte) error {
	event, rest, _ := bytes.Cut(b, []byte(" "))
	stamp, name, ok := bytes.Cut(rest, []byte(" "))
	at, err := strconv.ParseInt(string(stamp), 10, 64)
	if !ok || err != nil {
		return fmt.Errorf("line %q", b)
	}
	switch string(event) {
	case "s":
		i, err := judge.JobNumber(name)
		if err != nil || i >= len(t.arrived) {
			return fmt.Errorf("submit_sm of job %q, which nobody published", name)
		}
		if t.arrived[i] == 0 {
			t.arrived[i] = at
		}
	case "r":
		id, err := strconv.ParseUint(string(name), 10, 64)
		if err != nil {
			return fmt.Errorf("message id %q: %w", name, err)
		}
		if t.sent[id] == 0 {
			t.sent[id] = at
		}
	}
	return nil
}

// result adds a result that the server stored; of a receipt it is looked up when it was sent.
func (t *times) result(data []byte, stored time.Time) {
	if !bytes.Contains(data, []byte(`"kind":"receipt"`)) {
		return
	}
	_, rest, _ := bytes.Cut(data, []byte(`"message_id":"`))
	name, _, _ := bytes.Cut(rest, []byte(`"`))
	id, err := strconv.ParseUint(string(name), 10, 64)
	if sent := t.sent[id]; err == nil && sent != 0 {
		t.receipts = append(t.receipts, receipt{sent, stored.UnixNano()})
	}
}

// latency is how long something took, in milliseconds.
type latency struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
}

// latencyOf sorts the nanoseconds and takes the percentiles, nil of none.
func latencyOf(all []int64) *latency {
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	ms := func(share float64) float64 { return float64(percentile(all, share)) / 1e6 }
	return &latency{Count: len(all), P50: ms(0.5), P99: ms(0.99), P999: ms(0.999), Max: ms(1)}
}

// percentile is the least value that at least that share of all do not exceed
// (nearest rank). all are in order and not none.
func percentile(all []int64, share float64) int64 {
	rank := int(math.Ceil(share*float64(len(all)) - 1e-9))
	return all[min(max(rank, 1), len(all))-1]
}

// between are the latencies of what was published, and of the receipts sent,
// from a time on and before another.
func (t *times) between(from, until int64) (submit, receipt *latency) {
	var s, r []int64
	for i, at := range t.published {
		if at >= from && at < until && t.arrived[i] != 0 {
			s = append(s, t.arrived[i]-at)
		}
	}
	for _, x := range t.receipts {
		if x.sent >= from && x.sent < until {
			r = append(r, x.stored-x.sent)
		}
	}
	return latencyOf(s), latencyOf(r)
}

// warmUp is left out of latencies: the worker has just begun.
const warmUp = time.Second

// enter enters what the times say of a round, without its warm-up.
func (t *times) enter(r *round, warm time.Duration) {
	if len(t.published) == 0 {
		return
	}
	from := t.published[0] + int64(warm)
	r.Submit, r.Receipt = t.between(from, math.MaxInt64)
	var late []int64
	for i, at := range t.published {
		if at >= from {
			late = append(late, at-t.due[i])
		}
	}
	if l := latencyOf(late); l != nil {
		r.PublisherLate = l.P99
	}
	before := from
	for i := range r.Drift {
		d := &r.Drift[i]
		end := t.published[0] + int64(d.Seconds*1e9)
		d.Submit, d.Receipt = t.between(before, end)
		before = end
	}
}
