// Command bridge joins Kannel to JetStream: it takes jobs from the consumer
// that a worker takes them from, hands each to smsbox by its sendsms service,
// and publishes what smsbox tells of it by dlr-url: that the SMSC took it in
// (outcome; then the job is acked) and the receipt. It answers smsbox once JetStream has stored
// the result. It is no part of Kannel, and its CPU time is not Kannel's.
//
// It keeps no state but the jobs that wait for their outcome: message ids are
// joined to jobs by Kannel, in Redis.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/shortwire-sms/shortwire/bench/internal/load"
)

// config is what the flags say.
type config struct {
	nats    string // URL
	sendsms string // URL of smsbox's service
	listen  string // host:port for dlr-url
	stream  string // of jobs
	lane    string // subject filter of the jobs' consumer
	user    string // of sendsms, and its password
	smsc    string // smsc-id
	source  string
	conns   int // connections to smsbox
	slots   int // jobs between sendsms and their outcome
}

func main() {
	var cfg config
	flag.StringVar(&cfg.nats, "nats", "nats://127.0.0.1:4222", "URL")
	flag.StringVar(&cfg.sendsms, "sendsms", "http://127.0.0.1:13013/cgi-bin/sendsms", "URL of smsbox's service")
	flag.StringVar(&cfg.listen, "listen", "127.0.0.1:0", "host:port for dlr-url")
	flag.StringVar(&cfg.stream, "stream", "SMS_JOBS_BENCH", "stream of jobs")
	flag.StringVar(&cfg.lane, "lane", "sms.jobs.bench.normal.*", "subject filter of the consumer")
	flag.StringVar(&cfg.user, "user", "bench", "user of sendsms, and its password")
	flag.StringVar(&cfg.smsc, "smsc", "bench", "smsc-id")
	flag.StringVar(&cfg.source, "source", "Bench", "source address")
	flag.IntVar(&cfg.conns, "connections", 64, "connections to smsbox")
	flag.IntVar(&cfg.slots, "slots", 4000, "jobs between sendsms and their outcome")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, cfg); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "bridge:", err)
		os.Exit(1)
	}
}

// bridge is one running bridge.
type bridge struct {
	cfg  config
	fail context.CancelCauseFunc
	js   jetstream.JetStream
	http *http.Client
	work chan jetstream.Msg // from consume to the senders; nobody closes it

	mu      sync.Mutex
	waiting map[string]jetstream.Msg // guarded by mu: jobs without an outcome, by id
	slots   chan struct{}            // one token per job in waiting
}

// run works until ctx ends or anything fails.
func run(ctx context.Context, cfg config) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	nc, err := nats.Connect(cfg.nats, nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { cancel(errors.New("connection to NATS closed")) }))
	if err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	defer nc.Close()
	b := &bridge{
		cfg: cfg, fail: cancel, work: make(chan jetstream.Msg), waiting: map[string]jetstream.Msg{}, slots: make(chan struct{}, cfg.slots),
		http: &http.Client{Transport: &http.Transport{MaxConnsPerHost: cfg.conns, MaxIdleConnsPerHost: cfg.conns, DisableCompression: true}},
	}
	if b.js, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2*cfg.slots)); err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	l, err := net.Listen("tcp", cfg.listen)
	if err != nil {
		return fmt.Errorf("listen for dlr-url: %w", err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(b.report), ReadHeaderTimeout: time.Minute}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return srv.Serve(l) })
	for range cfg.conns {
		g.Go(func() error { return b.send(gctx, l.Addr().String()) })
	}
	stop, err := b.consume(gctx)
	if err != nil {
		cancel(err)
	} else {
		defer stop()
		fmt.Printf("process %d consumes\n", os.Getpid())
	}
	g.Go(func() error {
		<-gctx.Done()
		return errors.Join(context.Cause(gctx), srv.Close())
	})
	err = g.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// consume pulls jobs with the options that a worker pulls with.
func (b *bridge) consume(ctx context.Context) (stop func(), err error) {
	cons, err := load.LaneConsumer(ctx, b.js, b.cfg.stream, b.cfg.lane, "bridge")
	if err != nil {
		return nil, fmt.Errorf("find the consumer: %w", err)
	}
	cc, err := cons.Consume(func(m jetstream.Msg) {
		select {
		case b.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		select {
		case b.work <- m:
		case <-ctx.Done():
		}
	}, jetstream.PullMaxMessages(1000), jetstream.PullHeartbeat(500*time.Millisecond), jetstream.PullExpiry(5*time.Second))
	if err != nil {
		return nil, fmt.Errorf("consume: %w", err)
	}
	return cc.Stop, nil
}
