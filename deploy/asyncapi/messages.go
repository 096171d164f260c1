package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// header is a header of NATS that a message carries.
type header struct {
	name, description string
	required          bool
}

// Headers of the messages. Those of dead letters are held to what workers set
// by a test of internal/jetstream.
var (
	traceparent = header{"traceparent", "W3C Trace Context of who published", false}
	jobHeaders  = []header{
		{"Nats-Msg-Id", "The job's id. The server drops a repeat within five minutes, whoever sent it", true},
		traceparent,
	}
	resultHeaders = []header{{"Nats-Msg-Id", "The id of the payload; repeats carry the same", true}, traceparent}
	deadHeaders   = []header{
		{"Nats-Msg-Id", "Of the dead letter, not of the job", true},
		{"Shortwire-Reason", "Why, for people", true},
		{"Shortwire-Code", "Of the outcome: " + strings.Join(names(sms.Codes()), ", "), false},
		{"Shortwire-Kind", "Of the outcome", false},
		{"Shortwire-Attempts", "How often it was tried", true},
		{"Shortwire-Subject", "Where the job was published", true},
		{"Shortwire-Time", "When it was given up, RFC 3339", true},
		{"Shortwire-Job-Id", "Absent when the job does not say", false},
		{"Shortwire-Status", "The SMSC's last command_status, 0x0000000B", false},
		{"Shortwire-Status-Name", "Its name", false},
		{"Shortwire-Doubt", "true when an earlier attempt may have reached the SMSC", false},
		{"Shortwire-Parts", "JSON array of the parts that the SMSC has", false},
		{"Shortwire-Via", "The route that carried it instead of its own", false},
		{"Shortwire-Replay", "How often it was replayed", false},
		{"Shortwire-Truncated", "Original size in octets of a job that left no room for these headers", false},
		traceparent,
	}
)

func messages(golden string) (object, error) {
	var all object
	for _, m := range []struct {
		name, title, schema, examples, id string
		headers                           []header
	}{
		{"job", "Job", "job", "job", "$message.payload#/id", jobHeaders},
		{"result", "Result", "result", "result", "$message.payload#/job_id", resultHeaders},
		{"inbound", "Inbound message", "inbound", "inbound", "$message.payload#/id", resultHeaders},
		{"deadLetter", "Dead letter", "", "", "$message.header#/Shortwire-Job-Id", deadHeaders},
	} {
		message := object{
			field("name", m.name), field("title", m.title), field("contentType", "application/json"), field("headers", headers(m.headers)),
			field("correlationId", object{field("location", m.id)}),
		}
		if m.schema == "" {
			message = append(message, field("payload", object{field("description", "The bytes that were published, whether or not they are a job")}))
		} else {
			message = append(message, field("payload", ref("components/schemas/"+m.schema)))
		}
		if m.examples != "" {
			examples, err := examples(golden, m.examples)
			if err != nil {
				return nil, err
			}
			message = append(message, field("examples", examples))
		}
		all = append(all, field(m.name, message))
	}
	return all, nil
}

func headers(of []header) object {
	var properties object
	var required []string
	for _, h := range of {
		properties = append(properties, field(h.name, object{field("type", "string"), field("description", h.description)}))
		if h.required {
			required = append(required, h.name)
		}
	}
	return object{field("type", "object"), field("required", required), field("properties", properties)}
}

// examples are the golden files of a contract.
func examples(folder, contract string) ([]object, error) {
	files, err := filepath.Glob(filepath.Join(folder, contract+"*.json"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no golden examples of %s in %s", contract, folder)
	}
	if err != nil {
		return nil, err
	}
	var all []object
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		payload, err := ordered(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, object{field("name", strings.TrimSuffix(filepath.Base(file), ".json")), field("payload", payload)})
	}
	return all, nil
}

// ordered decodes JSON and keeps the order of its members.
func ordered(data []byte) (any, error) {
	var v any
	err := yaml.UnmarshalWithOptions(data, &v, yaml.UseOrderedMap())
	return v, err
}
