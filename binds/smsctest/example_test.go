package smsctest_test

import (
	"fmt"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
)

func Example() {
	smsc := smsctest.New(smsctest.Config{
		OnSubmit: func(m *smsctest.Submit) smsctest.Action {
			if m.Destination == "447700900404" {
				return smsctest.Action{Status: smsctest.RINVDSTADR}
			}
			return smsctest.Action{MessageID: "m1"}
		},
	})
	defer func() { _ = smsc.Close() }()
	conn, err := smsc.Dial() // or smsc.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	exchange := func(p smsctest.PDU) {
		if _, err := conn.Write(p.Append(nil)); err != nil {
			fmt.Println(err)
		}
		p, err := smsctest.ReadPDU(conn)
		fmt.Printf("%s %q %v\n", smsctest.StatusName(p.Status), p.Body, err)
	}
	exchange(smsctest.PDU{CommandID: smsctest.BindTransmitter, Sequence: 1, Body: bindBody("acme", "secret")})
	exchange(smsctest.PDU{CommandID: smsctest.SubmitSM, Sequence: 2, Body: message{to: "447700900404", text: "hello"}.body()})
	exchange(smsctest.PDU{CommandID: smsctest.SubmitSM, Sequence: 3, Body: message{to: "447700900123", text: "hello"}.body()})
	for _, m := range smsc.Submits() {
		fmt.Printf("%s %q %s %q\n", m.Destination, m.Text(), smsctest.StatusName(m.Status), m.MessageID)
	}
	// Output:
	// ESME_ROK "smsctest\x00\x02\x10\x00\x014" <nil>
	// ESME_RINVDSTADR "" <nil>
	// ESME_ROK "m1\x00" <nil>
	// 447700900404 "hello" ESME_RINVDSTADR ""
	// 447700900123 "hello" ESME_ROK "m1"
}
