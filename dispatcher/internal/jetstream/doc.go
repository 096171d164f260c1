// Package jetstream carries jobs, results, retries and dead letters over NATS
// JetStream. It implements the ports Source, Publisher, Retrier and Morgue of
// the dispatcher, creates the streams that they need, and lets operators'
// tools publish jobs and follow results.
//
// Pulling and publishing are done here, on plain NATS messages: nats.go's
// Consume can lose a pull and fall silent (nats.go #1622), keeps what it
// fetched where no keep-alive reaches it, and pulls a second batch on top of
// the first after every reconnect; its publish futures cost five times the
// CPU of an inbox of our own. nats.go's jetstream package serves for
// administration and for tailing.
//
// Three rules hold throughout:
//
//   - A message is acked only by Delivery.Ack, never here.
//   - Whatever was fetched is kept alive with +WPI until it is acked or handed
//     back, wherever it waits. So redelivery means that a worker is gone, not
//     that it is busy.
//   - A publish that was not answered is repeated under the same Nats-Msg-Id.
package jetstream
