package main

import (
	"fmt"

	"github.com/goccy/go-yaml"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

const heading = "# The contract on NATS as AsyncAPI 3. Made by go run ./deploy/asyncapi > deploy/asyncapi.yaml; a test holds it to the code.\n"

const about = `Producers publish jobs to NATS JetStream; Shortwire submits them over SMPP and publishes one outcome for each, and every
delivery receipt. This document is written from the worker's side: it receives jobs and sends results.

Publish with the job's id as the header Nats-Msg-Id, and wait for the PubAck: without one, the job was not accepted. A full
stream answers with an error instead of dropping anything. Results come at least once: drop repeats by id. Subjects begin with
sms unless nats.subject_prefix says otherwise.`

// document is the whole of it as YAML; golden is the folder of the examples.
func document(golden string) ([]byte, error) {
	messages, err := messages(golden)
	if err != nil {
		return nil, err
	}
	schemas, err := schemas()
	if err != nil {
		return nil, err
	}
	text, err := yaml.MarshalWithOptions(object{
		field("asyncapi", "3.0.0"),
		field("info", object{
			field("title", "Shortwire"), field("version", "1"), field("description", about),
			field("license", object{field("name", "Apache-2.0"), field("url", "https://www.apache.org/licenses/LICENSE-2.0")}),
		}),
		field("defaultContentType", "application/json"),
		field("servers", object{field("nats", object{
			field("host", "127.0.0.1:4222"), field("protocol", "nats"),
			field("description", "NATS 2.12 or later with JetStream; streams are made by shortwire setup"),
		})}),
		field("channels", channels()),
		field("operations", operations()),
		field("components", object{field("messages", messages), field("schemas", schemas)}),
	}, yaml.UseLiteralStyleIfMultiline(true), yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return append([]byte(heading), text...), nil
}

// The parameters of the subjects.
const (
	route    = "{route}"
	lane     = "{lane}"
	producer = "{producer}"
	kind     = "{kind}"
)

func channels() object {
	var s sms.Subjects
	token := func(what string) object { return object{field("description", what+": [A-Za-z0-9_-]{1,32}")} }
	oneOf := func(what string, words []string) object {
		return object{field("description", what), field("enum", words)}
	}
	lanes := oneOf("high never waits behind bulk", names(sms.Lanes()))
	lanes = append(lanes, field("default", string(sms.LaneNormal)))
	return object{
		field("jobs", channel(s.Jobs(sms.Origin{Route: route, Lane: lane, Producer: producer}), "job",
			"Where producers publish. Kept in "+s.StreamJobs("ROUTE")+", one stream a route, until the outcome is stored.",
			field("route", token("A route of the workers' configuration")), field("lane", lanes), field("producer", token("Who publishes; results come back under this name")))),
		field("results", channel(s.Results(producer, route, kind), "result",
			"Outcomes and delivery receipts of one producer. Kept in "+s.StreamResults()+".",
			field("producer", token("Whose jobs; "+sms.UnmatchedProducer+" in receipts whose job is not known")), field("route", token("The job's")),
			field("kind", oneOf("The kind of result", names(sms.Kinds()))))),
		field("inbound", channel(s.Inbound(route), "inbound", "Messages from handsets. Kept in "+s.StreamInbound()+".", field("route", token("That brought it")))),
		field("dead", channel(s.Dead(route), "deadLetter",
			"Jobs that could not be handled, as they were published. Kept in "+s.StreamDead()+"; shortwire replay sends them again.", field("route", token("The job's")))),
	}
}

func channel(address, message, description string, parameters ...yaml.MapItem) object {
	return object{
		field("address", address), field("description", description), field("parameters", object(parameters)),
		field("messages", object{field(message, ref("components/messages/"+message))}),
	}
}

func operations() object {
	operation := func(action, channel, message, summary string) object {
		return object{
			field("action", action), field("channel", ref("channels/"+channel)), field("summary", summary),
			field("messages", []object{ref("channels/" + channel + "/messages/" + message)}),
		}
	}
	return object{
		field("receiveJob", operation("receive", "jobs", "job", "Workers take jobs, and ack each once its outcome is stored.")),
		field("sendResult", operation("send", "results", "result", "One outcome for each job, and its receipts as they come.")),
		field("sendInbound", operation("send", "inbound", "inbound", "A message from a handset, its parts joined.")),
		field("sendDeadLetter", operation("send", "dead", "deadLetter", "A job that is wrong, or whose attempts are spent.")),
	}
}

func names[T ~string](words []T) []string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = string(w)
	}
	return all
}
