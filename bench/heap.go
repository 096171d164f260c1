package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// heap is what workers have allocated since they began, by their own metrics.
type heap struct {
	objects, octets float64
}

// budget is what a worker may allocate for one job with its receipt, or for one
// receipt. Time is another on each machine; this is not.
type budget struct {
	objects, octets float64
}

// Measured 57 and 6.0 kB for a job with its receipt, 17 and 2.3 kB for a
// receipt.
var budgets = map[string]budget{
	drainName: {objects: 66, octets: 7500},
	stormName: {objects: 21, octets: 2900},
}

// heap asks all workers.
func (s *stage) heap(ctx context.Context) (heap, error) {
	var all heap
	if s.set.who != worker {
		return all, nil
	}
	for _, admin := range s.admins {
		one, err := readHeap(ctx, "http://"+admin+"/metrics")
		if err != nil {
			return all, fmt.Errorf("what %s allocated: %w", worker, err)
		}
		all.objects += one.objects
		all.octets += one.octets
	}
	return all, nil
}

func readHeap(ctx context.Context, url string) (h heap, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return h, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return h, err
	}
	defer resp.Body.Close()
	found := 0
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		into := map[string]*float64{"go_memstats_mallocs_total": &h.objects, "go_memstats_alloc_bytes_total": &h.octets}[name]
		if into == nil {
			continue
		}
		if *into, err = strconv.ParseFloat(value, 64); err != nil {
			return h, fmt.Errorf("%s: %w", name, err)
		}
		found++
	}
	if found != 2 {
		return h, fmt.Errorf("%s does not say", url)
	}
	return h, nil
}

// quickSlack is for the start of the worker, what runs beside its jobs, and
// what is used again only later: a quick run has few.
const quickSlack = 2

// overspent says which rounds allocated more than their budget.
func (r *report) overspent() (all []string) {
	for phase, b := range budgets {
		if r.Quick {
			b.objects, b.octets = quickSlack*b.objects, quickSlack*b.octets
		}
		for _, x := range r.of(phase) {
			if x.Objects > b.objects || x.Octets > b.octets {
				all = append(all, fmt.Sprintf("%s, round %d: %.1f objects and %.0f octets allocated for each, want at most %.0f and %.0f",
					phase, x.Number, x.Objects, x.Octets, b.objects, b.octets))
			}
		}
	}
	return all
}
