package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTableOfTheDocumentIsTheProgramsOwn(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := run(nil, &b, io.Discard); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../SCALING.md")
	if err != nil {
		t.Fatal(err)
	}
	const from, to = "<!-- table: scaling -->\n\n", "\n<!-- end: scaling -->"
	_, rest, _ := strings.Cut(string(doc), from)
	table, _, found := strings.Cut(rest, to)
	if !found {
		t.Fatalf("deploy/SCALING.md has no table between %q and %q", from, to)
	}
	if d := cmp.Diff(b.String(), table); d != "" {
		t.Errorf("the table in deploy/SCALING.md is not what go run ./deploy/scaling prints:\n%s", d)
	}
}

func TestNeedFollowsFromTheCosts(t *testing.T) {
	t.Parallel()
	p := plan{
		average: 0.5, workerMicros: 50, natsMicros: 100, redisMicros: 20, use: 0.5, podCores: 2, streamRate: 10_000,
		jobOctets: 100, resultsOctets: 1000, redisOctets: 1000, wireOctets: 1000, replicas: 3, shardOctets: 1e9,
		backlog: 10e9, results: 100e9, redis: 100e9,
	}
	want := need{
		rate: 10_000, daily: 432e6, workerCores: 1, pods: 1, natsCores: 2, cells: 2,
		jobsOctets: 10_000 * 10 * 100 * 3, results: 5000 * 100 * 1000 * 3,
		redisCores: 0.4, redisOctets: 5000 * 100 * 1000, shards: 1, network: 80e6,
	}
	if d := cmp.Diff(want, p.need(10_000), cmp.AllowUnexported(need{})); d != "" {
		t.Error(d)
	}
}

func TestNumbersAreShort(t *testing.T) {
	t.Parallel()
	for want, n := range map[string]float64{"999": 999, "10 k": 10_000, "2.2 G": 2.16e9, "1 M": 1e6, "0.5": 0.5} {
		if got := count(n); got != want {
			t.Errorf("%f is written %q, want %q", n, got, want)
		}
	}
	if got := octets(3 << 30); got != "3 GiB" {
		t.Errorf("3 GiB is written %q", got)
	}
}

func TestWrongFiguresAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--use", "0"}, {"--use", "1.5"}, {"--rates", "x"}, {"--rates", "0"}, {"more"}} {
		if err := run(args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}
