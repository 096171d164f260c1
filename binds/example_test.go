package binds_test

import (
	"context"
	"fmt"

	"github.com/shortwire-sms/shortwire/binds"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func ExamplePool() {
	smsc := smsctest.New(smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action {
		return smsctest.Action{MessageID: "6E84FC04"}
	}})
	defer func() { _ = smsc.Close() }()

	pool, err := binds.New(binds.Config{
		Route:     "acme",
		Endpoints: []string{"smsc.example.net:2775"},
		SystemID:  "acme",
		Password:  "secret",
		Window:    100,
	}, binds.Deps{Dial: smsc.DialContext})
	if err != nil {
		fmt.Println(err)
		return
	}
	possible := make(chan struct{}, 1)
	pool.Notify(func() {
		select {
		case possible <- struct{}{}:
		default:
		}
	})
	intake, drain := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- pool.Run(intake, context.Background()) }()

	<-possible
	if r, short := pool.TryReserve(1); r != nil {
		ctx := context.Background()
		r.Send(ctx, sms.JobRef{JobID: "otp-1"}, []*sms.Message{{
			Destination:  sms.Address{TON: 1, NPI: 1, Addr: "447700900123"},
			ShortMessage: []byte("Your code is 1234"),
			Part:         1, PartsTotal: 1,
		}})
		for reply, ok := r.Next(ctx); ok; reply, ok = r.Next(ctx) {
			fmt.Println(reply.Bind, reply.RawMessageID, reply.Err)
		}
	} else {
		fmt.Println("short of", short.Reason)
	}
	drain()
	fmt.Println(<-ended)
	// Output:
	// acme/1 6E84FC04 <nil>
	// <nil>
}
