// Package publish publishes jobs to Shortwire from Go, and waits for their
// outcomes.
//
// A Publisher checks each job before it leaves, sends it with its id as
// Nats-Msg-Id, and returns once JetStream has stored it: a job whose Send
// returned no error is not lost. What was not answered is sent again under the
// same id, which the server and the workers drop when they have it already. It
// does not wait for room: when a stream is full, that is the answer (ErrFull).
//
//	p, err := publish.New(nc, publish.Config{Producer: "shop"})
//	…
//	text := "Your parcel is on its way."
//	ack, err := p.Send(ctx, publish.Job{Route: "acme", Job: sms.Job{ID: "order-1042", To: "+447700900123", Text: &text}})
//
// Go sends many at a time and lets no more than Config.MaxPending be under way.
// Wait reads the outcome of a single job; a program that wants those of all its
// jobs reads them with a durable consumer, as deploy/examples/consumer does.
package publish
