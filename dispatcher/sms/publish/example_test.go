package publish_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/sms/publish"
)

func ExamplePublisher_Send() {
	nc, stop := exampleServer() // in a program: nats.Connect(url, nats.MaxReconnects(-1))
	defer stop()
	p, err := publish.New(nc, publish.Config{Producer: "shop"})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()

	text := "Your parcel is on its way."
	order := publish.Job{Route: "acme", Lane: sms.LaneHigh, Job: sms.Job{ID: "order-1042", To: "+447700900123", Text: &text}}
	for range 2 {
		ack, err := p.Send(ctx, order)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(ack.JobID, "is in", ack.Stream, "duplicate:", ack.Duplicate)
	}

	order.To, order.Priority = "07700x", 9
	_, err = p.Send(ctx, order)
	var faults sms.Faults
	if errors.As(err, &faults) {
		for _, f := range faults {
			fmt.Println(f.Field, f.Reason)
		}
	}
	// Output:
	// order-1042 is in SMS_JOBS_ACME duplicate: false
	// order-1042 is in SMS_JOBS_ACME duplicate: true
	// to must be digits with an optional leading +, at most 20, is "07700x"
	// priority must be 0..3, is 9
}

func ExamplePublisher_Go() {
	nc, stop := exampleServer()
	defer stop()
	p, err := publish.New(nc, publish.Config{Producer: "shop", MaxPending: 100})
	if err != nil {
		log.Fatal(err)
	}
	text := "Sale today."
	for i := range 3 {
		job := publish.Job{Route: "acme", Lane: sms.LaneBulk, Job: sms.Job{ID: fmt.Sprintf("sale-%d", i), To: "+447700900123", Text: &text}}
		err := p.Go(context.Background(), job, func(ack *publish.Ack, err error) {
			if err != nil {
				log.Print(job.ID, err) // publish.ErrFull: keep it, and try again later
			}
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	p.Flush()
	fmt.Println("all have their answer")
	// Output: all have their answer
}
