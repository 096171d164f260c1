// Command scaling works out what a rate of messages needs, from what one
// message costs. It prints the table of deploy/SCALING.md; give it your own
// figures:
//
//	go run ./deploy/scaling --rates 10000,100000 --average 0.2 --ledger-ttl 6h
//
// A message is a job of one part and its receipt. The costs are those that
// `go run ./bench/fleet --cost` measures.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// plan is what is asked for, and what a message costs.
type plan struct {
	rates   []float64 // messages per second at the peak
	average float64   // of a day, as a share of the peak

	workerMicros float64 // CPU per message
	natsMicros   float64 // of all servers together
	redisMicros  float64 // of the master and its replica together
	use          float64 // how much of a processor is planned to be used, 0 to 1
	podCores     float64

	streamRate float64 // messages per second that one replicated stream stores

	jobOctets     float64 // stored per job
	resultsOctets float64 // stored per message, outcome and receipt
	redisOctets   float64 // per message, all keys
	wireOctets    float64 // per message on a worker's network, all peers, both ways
	replicas      float64 // of each stream
	shardOctets   float64 // that one Redis server may hold

	backlog time.Duration // at the peak, that the job streams must hold
	results time.Duration // how long results are kept
	redis   time.Duration // how long Redis keeps a message
}

func defaults() plan {
	return plan{
		rates: []float64{10_000, 100_000, 1_000_000}, average: 0.25,
		workerMicros: 100, natsMicros: 240, redisMicros: 57, use: 0.6, podCores: 2,
		streamRate: 28_000,
		jobOctets:  209, resultsOctets: 1037, redisOctets: 836, wireOctets: 3500, replicas: 3, shardOctets: 24 << 30,
		backlog: time.Hour, results: 7 * 24 * time.Hour, redis: 24 * time.Hour,
	}
}

// need is what a rate needs.
type need struct {
	rate        float64
	daily       float64 // messages
	workerCores float64
	pods        float64
	natsCores   float64
	cells       float64 // results streams, each with a subject prefix and NATS cluster of its own
	jobsOctets  float64 // on the disks of all servers together
	results     float64 // likewise
	redisCores  float64
	redisOctets float64
	shards      float64 // Redis masters
	network     float64 // bits per second, all workers together
}

// resultsPerMessage is an outcome and a receipt.
const resultsPerMessage = 2

func (p *plan) need(rate float64) need {
	mean := rate * p.average
	n := need{
		rate:        rate,
		daily:       mean * 86_400,
		workerCores: rate * p.workerMicros / 1e6 / p.use,
		natsCores:   rate * p.natsMicros / 1e6 / p.use,
		redisCores:  rate * p.redisMicros / 1e6 / p.use,
		cells:       math.Ceil(rate * resultsPerMessage / p.streamRate),
		jobsOctets:  rate * p.backlog.Seconds() * p.jobOctets * p.replicas,
		results:     mean * p.results.Seconds() * p.resultsOctets * p.replicas,
		redisOctets: mean * p.redis.Seconds() * p.redisOctets,
		network:     rate * p.wireOctets * 8,
	}
	n.pods = math.Ceil(n.workerCores / p.podCores)
	// The replica does half of what Redis does.
	n.shards = math.Ceil(max(n.redisOctets/p.shardOctets, n.redisCores/2))
	return n
}

func (p *plan) write(w io.Writer) error {
	fmt.Fprintln(w, "| messages/s at the peak | a day | worker cores | pods | NATS cores | results streams | jobs on disk | results on disk | Redis cores | Redis memory | Redis masters | worker network |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, rate := range p.rates {
		n := p.need(rate)
		_, err := fmt.Fprintf(w, "| %s | %s | %.1f | %.0f | %.1f | %.0f | %s | %s | %.1f | %s | %.0f | %s |\n",
			count(n.rate), count(n.daily), n.workerCores, n.pods, n.natsCores, n.cells, octets(n.jobsOctets), octets(n.results),
			n.redisCores, octets(n.redisOctets), n.shards, scale(n.network, 1000, "bit/s"))
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}

func count(n float64) string  { return strings.TrimSpace(scale(n, 1000, "")) }
func octets(n float64) string { return scale(n, 1024, "B") }

// scale writes a number with a unit prefix, to two or three digits.
func scale(n, base float64, unit string) string {
	prefixes := []string{"", "k", "M", "G", "T", "P"}
	i := 0
	for ; n >= base && i < len(prefixes)-1; i++ {
		n /= base
	}
	prefix := prefixes[i]
	if base == 1024 && i > 0 {
		prefix = strings.ToUpper(prefix) + "i"
	}
	digits := 0
	if n < 10 && n != math.Trunc(n) {
		digits = 1
	}
	return strings.TrimSpace(strconv.FormatFloat(n, 'f', digits, 64) + " " + prefix + unit)
}

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "scaling:", err)
		os.Exit(2)
	}
}

func run(args []string, w, usage io.Writer) error {
	p := defaults()
	fs := flag.NewFlagSet("scaling", flag.ContinueOnError)
	fs.SetOutput(usage)
	fs.Func("rates", "messages per second at the peak, comma-separated (default 10000,100000,1000000)", func(s string) error {
		p.rates = nil
		for _, f := range strings.Split(s, ",") {
			r, err := strconv.ParseFloat(f, 64)
			if err != nil || r <= 0 {
				return fmt.Errorf("%q is no rate", f)
			}
			p.rates = append(p.rates, r)
		}
		return nil
	})
	for _, f := range []struct {
		name, usage string
		to          *float64
	}{
		{"average", "messages per second over a day, as a share of the peak", &p.average},
		{"worker-us", "CPU of the worker per message, µs", &p.workerMicros},
		{"nats-us", "CPU of all NATS servers together per message, µs", &p.natsMicros},
		{"redis-us", "CPU of Redis master and replica per message, µs", &p.redisMicros},
		{"use", "share of a processor that is planned to be used", &p.use},
		{"pod-cores", "processors of a worker pod", &p.podCores},
		{"stream-rate", "messages per second that one replicated stream stores", &p.streamRate},
		{"job-octets", "stored in NATS per job", &p.jobOctets},
		{"results-octets", "stored in NATS per message, outcome and receipt", &p.resultsOctets},
		{"redis-octets", "in Redis per message", &p.redisOctets},
		{"wire-octets", "per message on a worker's network, both ways", &p.wireOctets},
		{"replicas", "of each stream", &p.replicas},
		{"shard-octets", "that one Redis server may hold", &p.shardOctets},
	} {
		fs.Float64Var(f.to, f.name, *f.to, f.usage)
	}
	fs.DurationVar(&p.backlog, "backlog", p.backlog, "of jobs at the peak, that NATS must hold")
	fs.DurationVar(&p.results, "results", p.results, "how long results are kept")
	fs.DurationVar(&p.redis, "ledger-ttl", p.redis, "how long Redis keeps a message: ledger_ttl, and correlation_ttl after the last receipt")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if p.use <= 0 || p.use > 1 || p.podCores <= 0 || p.streamRate <= 0 || p.shardOctets <= 0 {
		return errors.New("--use must be above 0 and at most 1; --pod-cores, --stream-rate and --shard-octets above 0")
	}
	return p.write(w)
}
