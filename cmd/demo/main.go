// Demo runs Shortwire's main job in one process: an embedded NATS server with
// JetStream, an in-process Redis, an SMSC simulator and a worker. It publishes
// jobs of every sort, shows them go out and their receipts come back, and then
// holds the result stream against the simulator's own record.
//
// Exit status 0 means that every job has exactly one terminal outcome, every
// accepted part its final receipt, and that the SMSC saw nothing else.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// patience is how long each step may take, and how long it may be quiet: on
// a busy machine, more than until a job that a worker lost comes again (75 s).
const patience = 2 * time.Minute

type options struct {
	jobs    int
	seed    uint64
	keep    bool
	json    bool
	verbose bool
	admin   string
	timeout time.Duration
}

func main() {
	var o options
	flag.IntVar(&o.jobs, "jobs", 2000, "jobs to publish, at least 10")
	flag.Uint64Var(&o.seed, "seed", 0, "seed of the mix; 0 takes a new one")
	flag.BoolVar(&o.keep, "keep", false, "stay up afterwards, with the status page, and print commands to play with")
	flag.BoolVar(&o.keep, "stay", false, "the same as -keep")
	flag.BoolVar(&o.json, "json", false, "print one JSON object as the last line")
	flag.BoolVar(&o.verbose, "v", false, "show the worker's log")
	flag.StringVar(&o.admin, "admin", "127.0.0.1:0", "admin address of the worker")
	flag.DurationVar(&o.timeout, "timeout", patience, "give up when nothing has come for so long")
	flag.Parse()
	if o.jobs < 10 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "demo: -jobs must be at least 10, and there are no arguments; see -help")
		os.Exit(2)
	}
	if o.seed == 0 {
		o.seed = rand.Uint64N(1e6) + 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v (seed %d)\n", err, o.seed)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	fmt.Printf("Starting NATS with JetStream, Redis, an SMSC simulator and a worker in this process (seed %d).\n", o.seed)
	parts, err := startEmbedded(int64(o.seed))
	if err != nil {
		return err
	}
	defer parts.stop()
	path, err := parts.config(o.admin)
	if err != nil {
		return err
	}
	cfg, err := app.Load(path, os.Getenv)
	if err != nil {
		return err
	}
	if err := app.Setup(ctx, cfg, io.Discard); err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	if o.verbose {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	worker, err := app.New(cfg, app.Deps{Logger: log, Version: "demo"})
	if err != nil {
		return err
	}
	workerCtx, drain := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		defer close(ended) // whoever reads it a second time gets nil
		err := worker.Run(workerCtx)
		drain() // nobody waits for its page
		ended <- err
	}()

	if url := worker.AdminURL(workerCtx); url != "" {
		fmt.Printf("The worker's status page: %s/\n", url)
	}
	failed := show(ctx, o, parts, worker, ended)
	if o.keep && failed == nil {
		playground(path, worker.AdminURL(ctx), parts.addr)
		<-ctx.Done()
	}
	drain()
	if err := <-ended; err != nil && failed == nil {
		failed = fmt.Errorf("worker: %w", err)
	}
	return failed
}

// show publishes, watches until all is settled, and judges. It gives up only
// when nothing comes any more: a slow machine is no fault.
func show(ctx context.Context, o options, parts *embedded, worker *app.App, ended <-chan error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(o.timeout, func() { cancel(fmt.Errorf("not settled, and no result came for %v", o.timeout)) })
	defer quiet.Stop()
	nc, err := nats.Connect(parts.nats.ClientURL(), nats.Name("demo producer"), nats.Timeout(patience))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		return err
	}
	orders := mix(o.jobs, rand.New(rand.NewPCG(o.seed, 0)))
	t := newTally(orders, func() { quiet.Reset(o.timeout) })
	if err := follow(ctx, js, t); err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	if err := publish(ctx, js, orders); err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	fmt.Printf("Published %d jobs to route %s. The route's limit is 500 submit_sm/s.\n\n", len(orders), route)

	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !t.done() {
		select {
		case <-poll.C:
		case <-tick.C:
			fmt.Println(t.progress(throttled(parts.smsc), limitNow(worker)))
		case err := <-ended:
			return fmt.Errorf("the worker ended early: %w", err)
		case <-ctx.Done():
			faults, _, _ := t.findings(parts.smsc)
			report(os.Stdout, t, worker, faults)
			return context.Cause(ctx)
		}
	}
	faults, lost, duplicates := t.findings(parts.smsc)
	report(os.Stdout, t, worker, faults)
	if o.json {
		summary(os.Stdout, t, lost, duplicates)
	}
	if len(faults) > 0 {
		return fmt.Errorf("%d disagreements", len(faults))
	}
	return nil
}

func throttled(s *smsctest.SMSC) uint64 { return s.Stats().RefusedByStatus[smsctest.RTHROTTLED] }

func limitNow(w *app.App) string {
	for _, r := range w.Status().Routes {
		return string(r.Limit)
	}
	return "unknown"
}

// publish sends all jobs, the id of each as its Nats-Msg-Id.
func publish(ctx context.Context, js jetstream.JetStream, orders []order) error {
	var subjects sms.Subjects
	for _, o := range orders {
		if _, err := js.PublishAsync(subjects.Jobs(o.origin), o.body, jetstream.WithMsgID(o.id), jetstream.WithStallWait(patience)); err != nil {
			return fmt.Errorf("publish %s: %w", o.id, err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// follow reads the result stream as any consumer would.
func follow(ctx context.Context, js jetstream.JetStream, t *tally) error {
	var subjects sms.Subjects
	c, err := js.OrderedConsumer(ctx, subjects.StreamResults(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		return fmt.Errorf("follow results: %w", err)
	}
	cc, err := c.Consume(func(m jetstream.Msg) {
		var r sms.Result
		if err := json.Unmarshal(m.Data(), &r); err != nil {
			fmt.Fprintln(os.Stderr, "demo: result that is no result:", err)
			return
		}
		t.add(&r)
	})
	if err != nil {
		return fmt.Errorf("follow results: %w", err)
	}
	context.AfterFunc(ctx, cc.Stop)
	return nil
}

func playground(config, admin, smsc string) {
	fmt.Printf(`
Everything is still running. Try, in another terminal:

  go run ./cmd/shortwire send   --config %[1]s --route %[4]s --to +447700900123 --text "Hello" --wait
  go run ./cmd/shortwire send   --config %[1]s --route %[4]s --to +447700900404 --text "Nobody there" --wait
  go run ./cmd/shortwire tail   --config %[1]s
  go run ./cmd/shortwire status --admin %[2]s
  curl -s %[2]s/metrics

or open the status page, %[2]s/
The SMSC simulator listens on %[3]s. Ctrl-C drains and ends.
`, config, admin, smsc, route)
}
