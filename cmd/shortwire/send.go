package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shortwire-sms/shortwire/cmd/internal/usage"
	"github.com/shortwire-sms/shortwire/dispatcher/app"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// sendFlags are the flags of send.
type sendFlags struct {
	route, lane, producer       string
	id, to, from, text          string
	encoding, delivery, receipt string
	meta                        string
	expiresIn, timeout          time.Duration
	wait                        bool
}

func (p *program) sendCommand() *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:   "send",
		Short: "Publish one job and, with --wait, follow it to its final receipts",
		Long: `Publish one job as a producer would, and print its id. With --wait, print every
result of the job until each part has its final receipt; the exit code is 5 unless
all were delivered.`,
		Example: `  shortwire send --route acme --to +447700900123 --text "Hello" --wait
  shortwire send --route acme --to +447700900123 --text "Code 1234" --from ACME --lane high --expires-in 5m`,
		Args: usage.NoArgs,
	}
	p.configFlag(cmd)
	flags := cmd.Flags()
	flags.SortFlags = false
	for _, field := range []struct {
		value                *string
		name, initial, usage string
	}{
		{&f.route, "route", "", "route of the configuration (required)"},
		{&f.to, "to", "", "`number`, digits with an optional leading + (required)"},
		{&f.text, "text", "", "text of the message (required)"},
		{&f.from, "from", "", "sender; default the route's source"},
		{&f.lane, "lane", string(sms.LaneNormal), "high, normal or bulk"},
		{&f.producer, "producer", "cli", "producer to publish as"},
		{&f.encoding, "encoding", "", "auto, gsm7, latin1 or ucs2; default auto"},
		{&f.delivery, "delivery", "", "at_least_once or at_most_once; default at_least_once"},
		{&f.receipt, "receipt", "", "final, failure, all or none; default the route's"},
		{&f.id, "id", "", "idempotency key; default a random one"},
		{&f.meta, "meta", "", "`JSON` object that comes back in every result"},
	} {
		flags.StringVar(field.value, field.name, field.initial, field.usage)
	}
	flags.DurationVar(&f.expiresIn, "expires-in", 0, "not submitted after this time; default never")
	flags.BoolVar(&f.wait, "wait", false, "follow the results to the final receipts")
	flags.DurationVar(&f.timeout, "timeout", 2*time.Minute, "how long publishing and --wait may take")
	for _, name := range []string{"route", "to", "text"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	cmd.RunE = p.does(func(ctx context.Context) error { return p.send(ctx, f) })
	return cmd
}

func (p *program) send(ctx context.Context, f sendFlags) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	cfg, err := app.Load(p.config, os.Getenv)
	if err != nil {
		return err
	}
	req := f.request()
	return app.Send(ctx, cfg, req, app.SendEvents{
		Published: func(duplicate bool) {
			fmt.Fprintln(p.stdout, req.Job.ID)
			if duplicate {
				fmt.Fprintln(p.stderr, "hint: a job of this id was published before; this one was dropped as its repeat")
			}
		},
		Result: func(r *sms.Result) { printResult(p.stdout, r) },
	})
}

func (f sendFlags) request() app.SendRequest {
	job := sms.Job{
		ID: f.id, To: f.to, From: f.from, Text: &f.text,
		Encoding: sms.Encoding(f.encoding), Delivery: sms.DeliveryMode(f.delivery), Receipt: sms.ReceiptMode(f.receipt),
	}
	if job.ID == "" {
		job.ID = "cli-" + strings.ToLower(rand.Text())
	}
	if f.meta != "" {
		job.Meta = json.RawMessage(f.meta)
	}
	if f.expiresIn != 0 {
		job.ExpiresAt = time.Now().Add(f.expiresIn).UTC()
	}
	return app.SendRequest{
		Origin: sms.Origin{Route: f.route, Lane: sms.Lane(f.lane), Producer: f.producer},
		Job:    job,
		Wait:   f.wait,
	}
}
