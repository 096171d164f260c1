// Command asyncapi prints the AsyncAPI 3 document of the contract on NATS, made
// from the subjects, schemas and golden examples of package sms:
//
//	go run ./deploy/asyncapi > deploy/asyncapi.yaml
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/goccy/go-yaml"
)

func main() {
	golden := flag.String("golden", "dispatcher/sms/testdata/golden", "`folder` of the examples")
	flag.Parse()
	text, err := document(*golden)
	if err != nil {
		fmt.Fprintln(os.Stderr, "asyncapi:", err)
		os.Exit(1)
	}
	fmt.Print(string(text))
}

// object is a mapping that keeps its order.
type object = yaml.MapSlice

func field(key string, value any) yaml.MapItem { return yaml.MapItem{Key: key, Value: value} }

func ref(path string) object { return object{field("$ref", "#/"+path)} }
