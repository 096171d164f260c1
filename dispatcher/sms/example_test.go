package sms_test

import (
	"errors"
	"fmt"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func ExampleDecodeJob() {
	bytes := []byte(`{"id": "order-1042", "to": "447700900123", "txt": "hello", "priority": 9}`)
	_, err := sms.DecodeJob(bytes)
	var faults sms.Faults
	if errors.As(err, &faults) {
		for _, f := range faults {
			fmt.Printf("%s: %s\n", f.Field, f.Reason)
		}
	}
	fmt.Println("job", sms.JobID(bytes))
	// Output:
	// txt: unknown field
	// priority: must be 0..3, is 9
	// text: must be given, or data instead
	// job order-1042
}
