// Command consumer is an example of a program that reads results: outcomes of
// jobs and their delivery receipts. Copy it and put your own work into handle.
//
//	go run ./deploy/examples/consumer -producer shop
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os/signal"
	"syscall"

	"github.com/nats-io/nats.go"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func main() {
	log.SetFlags(0)
	url := flag.String("nats", nats.DefaultURL, "URL of the NATS server")
	var c Consumer
	flag.StringVar(&c.Producer, "producer", "", "whose results (required)")
	flag.StringVar(&c.Durable, "durable", "example", "name of the durable consumer; programs of one name share the work")
	flag.Parse()
	if !sms.ValidToken(c.Producer) {
		log.Fatal("consumer: -producer must be 1..32 of A-Z a-z 0-9 _ -")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	nc, err := nats.Connect(*url, nats.MaxReconnects(-1), nats.Name("shortwire example consumer"))
	if err != nil {
		log.Fatal("consumer: connect to nats: ", err)
	}
	defer nc.Close()
	if err := c.Run(ctx, nc, handle); err != nil {
		log.Fatal("consumer: ", err)
	}
}

// handle is where the work is done. A result may come again after a crash, so
// what it writes must bear that: an upsert by the job's id, or the result's id
// under a unique key in the same transaction.
func handle(_ context.Context, r *sms.Result) error {
	if r.Receipt != nil {
		_, err := fmt.Println(r.Kind, r.JobID, r.Part, r.State, r.JobState)
		return err
	}
	_, err := fmt.Println(r.Kind, r.JobID, r.Code, r.Reason)
	return err
}
