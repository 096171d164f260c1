// Command producer is an example of a program that sends: it publishes one job
// and waits for its outcome.
//
//	go run ./deploy/examples/producer -route acme -producer shop -to +447700900123 -text "Your parcel is on its way."
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/sms/publish"
)

func main() {
	log.SetFlags(0)
	url := flag.String("nats", nats.DefaultURL, "URL of the NATS server")
	producer := flag.String("producer", "shop", "who publishes")
	job := publish.Job{Lane: sms.LaneNormal}
	flag.StringVar(&job.Route, "route", "acme", "route")
	flag.StringVar(&job.ID, "id", "", "idempotency key, such as the number of an order (required)")
	flag.StringVar(&job.To, "to", "", "number (required)")
	text := flag.String("text", "", "text of the message")
	flag.Parse()
	job.Text = text
	if err := send(context.Background(), *url, *producer, job); err != nil {
		log.Fatal("producer: ", err)
	}
}

func send(ctx context.Context, url, producer string, job publish.Job) error {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.Name("shortwire example producer"))
	if err != nil {
		return fmt.Errorf("connect to nats: %w", err)
	}
	defer nc.Close()
	p, err := publish.New(nc, publish.Config{Producer: producer})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ack, err := p.Send(ctx, job)
	switch {
	case errors.Is(err, publish.ErrFull):
		return fmt.Errorf("keep the job and try again later: %w", err)
	case err != nil:
		return err
	}
	fmt.Println("stored", ack.JobID, ack.Duplicate)
	outcome, err := p.Wait(ctx, ack)
	if err != nil {
		return err
	}
	fmt.Println(outcome.Kind, outcome.JobID, outcome.Code, outcome.Reason)
	return nil
}
