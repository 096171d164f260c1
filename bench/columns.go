package main

import (
	"fmt"
	"slices"
)

// column is a column of a phase's table: a cell from all rounds of a setting,
// and from those of the setting that it is compared with.
type column struct {
	head string
	cell func(of, against []round) string
}

// spread is a median and, of several rounds, the least and the most.
func spread(head string, format func(float64) string, figure func(*round) float64) column {
	return column{head, func(of, _ []round) string {
		all := values(of, figure)
		if len(all) == 0 {
			return ""
		}
		s := format(median(all))
		if low, high := format(all[0]), format(all[len(all)-1]); low != high {
			s += " (" + low + "–" + high + ")"
		}
		return s
	}}
}

// middle is a median alone.
func middle(head string, format func(float64) string, figure func(*round) float64) column {
	return column{head, func(of, _ []round) string {
		all := values(of, figure)
		if len(all) == 0 {
			return ""
		}
		return format(median(all))
	}}
}

// values are a figure of all rounds, in order.
func values(of []round, figure func(*round) float64) []float64 {
	var all []float64
	for i := range of {
		all = append(all, figure(&of[i]))
	}
	slices.Sort(all)
	return all
}

// compared is the ratio of medians to those of the setting that it is compared with.
func compared(head string, figure func(*round) float64) column {
	return column{head, func(of, against []round) string {
		than := median(values(against, figure))
		if than == 0 {
			return ""
		}
		return fmt.Sprintf("%.2f×", median(values(of, figure))/than)
	}}
}

// sum adds a count of all rounds.
func sum(head string, count func(*round) int) column {
	return column{head, func(of, _ []round) string {
		n := 0
		for i := range of {
			n += count(&of[i])
		}
		return fmt.Sprint(n)
	}}
}

// millis is a percentile of a latency, of all rounds its median.
func millis(head string, of func(*round) *latency, percentile func(*latency) float64) column {
	return column{head, func(rounds, _ []round) string {
		var all []float64
		for i := range rounds {
			if l := of(&rounds[i]); l != nil {
				all = append(all, percentile(l))
			}
		}
		if len(all) == 0 {
			return ""
		}
		slices.Sort(all)
		return significant(median(all))
	}}
}

func whole(x float64) string { return thousands(int(x + 0.5)) }
func tenth(x float64) string { return fmt.Sprintf("%.1f", x) }

// significant writes milliseconds as precisely as they can be meant.
func significant(x float64) string {
	switch {
	case x >= 100:
		return whole(x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

func cpuOf(x *round) float64      { return x.CPUPerJob }
func rateOf(x *round) float64     { return x.JobsPerSecond }
func submitOf(x *round) *latency  { return x.Submit }
func receiptOf(x *round) *latency { return x.Receipt }

// cost are the columns of CPU, of the contender and the servers, for each job or receipt.
func cost(of string) []column {
	return []column{
		spread("CPU µs/"+of, tenth, cpuOf),
		middle("NATS µs", tenth, func(x *round) float64 { return x.NATSPerJob }),
		middle("Redis µs", tenth, func(x *round) float64 { return x.RedisPerJob }),
		middle("SMSC µs", tenth, func(x *round) float64 { return x.SMSCPerJob }),
	}
}

func commands() column {
	return middle("Redis cmds", tenth, func(x *round) float64 { return x.Commands })
}

func memory() column {
	return column{"peak MiB", func(of, _ []round) string {
		all := values(of, func(x *round) float64 { return x.PeakRSS })
		return whole(all[len(all)-1])
	}}
}

// submitted and stored are the percentiles of both latencies.
func submitted() []column {
	return []column{
		millis("submit_sm p50 ms", submitOf, func(l *latency) float64 { return l.P50 }),
		millis("p99", submitOf, func(l *latency) float64 { return l.P99 }),
		millis("p99.9", submitOf, func(l *latency) float64 { return l.P999 }),
		millis("max", submitOf, func(l *latency) float64 { return l.Max }),
	}
}

func stored() []column {
	return []column{
		millis("receipt stored p50 ms", receiptOf, func(l *latency) float64 { return l.P50 }),
		millis("p99", receiptOf, func(l *latency) float64 { return l.P99 }),
	}
}

func faults() []column {
	return []column{
		middle("stolen %", tenth, func(x *round) float64 { return 100 * x.Stolen }),
		sum("lost", func(x *round) int { return x.Lost }),
		sum("duplicates", func(x *round) int { return x.Duplicates }),
	}
}
