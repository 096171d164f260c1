package jetstream

import (
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// SetupConfig sizes the streams. Zero values mean defaults.
type SetupConfig struct {
	Routes            []string
	ResultsFor        []string      // producers whose results get a durable consumer, named after them
	Replicas          int           // copies of each stream, 1..5; 3 for production. Default 1
	JobsMaxPerSubject int64         // jobs of one producer in one lane that may wait. Default 5,000,000
	JobsMaxBytes      int64         // of one route's jobs, reserved on the server's disk; -1 means no limit. Default 2 GiB
	ResultsMaxAge     time.Duration // of results and inbound messages. Default 168h
	DeadMaxAge        time.Duration // of dead letters. Default 720h
	Consumers         ConsumerConfig
}

// ConsumerConfig is how deliveries of one lane are looked after by the server.
type ConsumerConfig struct {
	// AckWait is how long a worker may be silent about a delivery before it
	// goes to another; workers speak up after a third of it. Default 75s: the
	// default response timeout of 60 s, 5 s in a prefetch buffer, 10 s to spare.
	AckWait time.Duration
	// MaxAckPending is how many deliveries the whole fleet may hold in one
	// lane. 100,000 held cost the server a third more CPU. Default 20,000.
	MaxAckPending int
}

func (c ConsumerConfig) withDefaults() ConsumerConfig {
	if c.AckWait == 0 {
		c.AckWait = 75 * time.Second
	}
	if c.MaxAckPending == 0 {
		c.MaxAckPending = 20_000
	}
	return c
}

func (c SetupConfig) withDefaults() SetupConfig {
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.JobsMaxPerSubject == 0 {
		c.JobsMaxPerSubject = 5_000_000
	}
	if c.JobsMaxBytes == 0 {
		c.JobsMaxBytes = 2 << 30
	}
	if c.ResultsMaxAge == 0 {
		c.ResultsMaxAge = 7 * 24 * time.Hour
	}
	if c.DeadMaxAge == 0 {
		c.DeadMaxAge = 30 * 24 * time.Hour
	}
	c.Consumers = c.Consumers.withDefaults()
	return c
}

// Dedup windows: how long a Nats-Msg-Id is remembered. A work-queue stream
// forgets the ids of acked messages at a restart of the server, a limits
// stream does not; so results are safe to repeat and jobs need the ledger.
const (
	jobsDuplicates    = 5 * time.Minute
	resultsDuplicates = 30 * time.Minute
	otherDuplicates   = 5 * time.Minute
)

// Advisories about messages that the server gives up on.
const (
	advisoryMaxDeliveries = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>"
	advisoryTerminated    = "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>"
)

// streams lists what must be there.
func (c *Client) streams(cfg SetupConfig) []natsjs.StreamConfig {
	var all []natsjs.StreamConfig
	for _, route := range cfg.Routes {
		all = append(all, c.jobsStream(route, cfg))
	}
	file := func(s natsjs.StreamConfig) natsjs.StreamConfig {
		s.Storage, s.Replicas = natsjs.FileStorage, cfg.Replicas
		s.MaxBytes, s.MaxMsgsPerSubject = -1, -1
		return s
	}
	return append(all,
		file(natsjs.StreamConfig{
			Name: c.subjects.StreamRetry(), Subjects: []string{c.subjects.RetryAll()},
			Description: "jobs that wait for another attempt",
			Retention:   natsjs.WorkQueuePolicy, Duplicates: otherDuplicates,
			// A stream with schedules cannot be discard-new; nor need it be:
			// what is in it was let into the bounded job streams before.
			AllowMsgSchedules: true, AllowMsgTTL: true, AllowRollup: true,
		}),
		file(natsjs.StreamConfig{
			Name: c.subjects.StreamResults(), Subjects: []string{c.subjects.ResultsFilter("", "", "")},
			Description: "outcomes and receipts",
			MaxAge:      cfg.ResultsMaxAge, Duplicates: resultsDuplicates, AllowDirect: true,
		}),
		file(natsjs.StreamConfig{
			Name: c.subjects.StreamInbound(), Subjects: []string{c.subjects.InboundFilter("")},
			Description: "mobile-originated messages",
			MaxAge:      cfg.ResultsMaxAge, Duplicates: resultsDuplicates, AllowDirect: true,
		}),
		file(natsjs.StreamConfig{
			Name: c.subjects.StreamDead(), Subjects: []string{c.subjects.DeadFilter("")},
			Description: "jobs that could not be handled",
			MaxAge:      cfg.DeadMaxAge, Duplicates: otherDuplicates, AllowDirect: true,
		}),
		file(natsjs.StreamConfig{
			Name: c.subjects.StreamAdvisory(), Subjects: []string{advisoryMaxDeliveries, advisoryTerminated},
			Description: "messages that the server gave up on",
			MaxAge:      cfg.DeadMaxAge, Duplicates: otherDuplicates,
		}),
	)
}

// jobsStream is the stream of one route's jobs. It binds each lane by name: a
// job on an unknown lane finds no stream, which tells its producer, instead of
// lying where no consumer looks.
func (c *Client) jobsStream(route string, cfg SetupConfig) natsjs.StreamConfig {
	s := natsjs.StreamConfig{
		Name:        c.subjects.StreamJobs(route),
		Description: "jobs of route " + route,
		Retention:   natsjs.WorkQueuePolicy, Storage: natsjs.FileStorage, Replicas: cfg.Replicas,
		Discard: natsjs.DiscardNew, DiscardNewPerSubject: true,
		MaxMsgsPerSubject: cfg.JobsMaxPerSubject, MaxBytes: cfg.JobsMaxBytes,
		Duplicates: jobsDuplicates, AllowMsgTTL: true,
		AllowDirect: true, // see overtaker
	}
	for _, lane := range sms.Lanes() {
		s.Subjects = append(s.Subjects, c.subjects.JobsFilter(route, lane))
	}
	return s
}

// consumer is a durable consumer and the stream it is on.
type consumer struct {
	stream string
	config natsjs.ConsumerConfig
}

// consumers lists three for each route and lane: new jobs, due retries, and
// jobs that overtake others. Every worker shares them.
func (c *Client) consumersOf(routes []string, cfg ConsumerConfig) []consumer {
	var all []consumer
	for _, route := range routes {
		for _, lane := range sms.Lanes() {
			for _, of := range []func(string, sms.Lane, ConsumerConfig) (string, natsjs.ConsumerConfig){c.jobsConsumer, c.dueConsumer, c.turnConsumer} {
				stream, config := of(route, lane, cfg)
				all = append(all, consumer{stream, config})
			}
		}
	}
	return all
}

// jobsConsumer is the consumer of new jobs, named after its lane.
func (c *Client) jobsConsumer(route string, lane sms.Lane, cfg ConsumerConfig) (stream string, config natsjs.ConsumerConfig) {
	return c.subjects.StreamJobs(route), durable(string(lane), c.subjects.JobsFilter(route, lane), cfg)
}

// dueConsumer is the consumer of due retries, due-<route>-<lane>.
func (c *Client) dueConsumer(route string, lane sms.Lane, cfg ConsumerConfig) (stream string, config natsjs.ConsumerConfig) {
	return c.subjects.StreamRetry(), durable("due-"+route+"-"+string(lane), c.subjects.RetryDueFilter(route, lane), cfg)
}

// turnConsumer is the consumer of jobs that overtake, turn-<route>-<lane>.
func (c *Client) turnConsumer(route string, lane sms.Lane, cfg ConsumerConfig) (stream string, config natsjs.ConsumerConfig) {
	return c.subjects.StreamRetry(), durable("turn-"+route+"-"+string(lane), c.subjects.RetryTurnFilter(route, lane), cfg)
}

// resultsConsumer is the consumer of a producer's results, named after it.
func (c *Client) resultsConsumer(producer string, cfg ConsumerConfig) consumer {
	return consumer{c.subjects.StreamResults(), durable(producer, c.subjects.ResultsFilter(producer, "", ""), cfg)}
}

func durable(name, filter string, cfg ConsumerConfig) natsjs.ConsumerConfig {
	return natsjs.ConsumerConfig{
		Durable: name, FilterSubject: filter,
		AckPolicy: natsjs.AckExplicitPolicy, AckWait: cfg.AckWait, MaxAckPending: cfg.MaxAckPending,
		// A limit would strand the message in a work-queue stream: attempts
		// are counted by the pipeline.
		MaxDeliver: -1,
	}
}
