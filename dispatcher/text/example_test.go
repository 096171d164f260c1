package text_test

import (
	"fmt"
	"strings"

	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

func ExampleEncode() {
	long := strings.Repeat("Shortwire ", 20)
	e, err := text.Encode(long, text.Options{Ref: text.Reference("shop", "order-1")})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range e.Segments {
		fmt.Printf("%s: % x + %d septets\n", e.Encoding, s.UDH, len(s.Payload))
	}
	// Output:
	// gsm7: 05 00 03 26 02 01 + 153 septets
	// gsm7: 05 00 03 26 02 02 + 47 septets
}
