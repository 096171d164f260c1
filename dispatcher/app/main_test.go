package app_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain has more tests run at once than there are processors: they wait most
// of the time, for leases to end and retries to fall due.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" || f.Name == "test.fuzz" })
	if !given {
		if err := flag.Set("test.parallel", "6"); err != nil {
			panic(err)
		}
	}
	for name, password := range natsPasswords {
		if err := os.Setenv(name, password); err != nil { // deploy/nats/permissions.conf refers to them
			panic(err)
		}
	}
	os.Exit(m.Run())
}
