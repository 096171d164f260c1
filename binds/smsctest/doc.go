// Package smsctest is an SMSC simulator for tests, benchmarks and demos, in
// the manner of net/http/httptest: it speaks SMPP 3.4 over real TCP and over
// in-memory pipes (so that a client and the simulator run inside one
// testing/synctest bubble), serves several binds of several accounts at once,
// is programmable per PDU, and records all that it saw.
//
// It is an independent judge: framing and submit_sm parsing are its own and
// share no code with the client under test, and the record holds the octets
// as they came.
//
//	smsc := smsctest.New(smsctest.Config{
//		Latency: 5 * time.Millisecond,
//		OnSubmit: func(m *smsctest.Submit) smsctest.Action {
//			if m.Destination == "447700900404" {
//				return smsctest.Action{Status: smsctest.RINVDSTADR}
//			}
//			return smsctest.Action{}
//		},
//	})
//	defer smsc.Close()
//	addr, err := smsc.Listen("127.0.0.1:0")
//
// # What it does with a submit_sm
//
// In this order: a PDU that cannot be parsed, or on a connection that is not
// bound to transmit, is refused; Config.Window and Config.Rate are enforced;
// then Config.Faults draws lots; then, with Config.Magic, the destination
// decides (see MagicNumbers); then Config.OnSubmit. What is not refused is
// taken in: it gets a message id that is unique in this process, and the
// receipts that registered_delivery asks for.
//
// # Receipts
//
// A receipt is kept until it is answered, as an SMSC keeps it: answered with a
// temporary error, left without an answer, or in flight on a bind that is
// lost, it is sent again, over any receiving bind of the same system_id, also
// one that comes later. Receipts wait for a bind without limit.
//
// # Goroutines
//
// One reader and one writer per connection, one acceptor per listener and one
// scheduler for everything that happens later. The scheduler starts with the
// first connection; Close joins all of them.
//
// Sources: SMPP Protocol Specification v3.4 Issue 1.2, of which sections are
// cited where they decide.
package smsctest
