package jetstream

import (
	"fmt"
	"slices"
	"strings"

	natsjs "github.com/nats-io/nats.go/jetstream"
)

// Action is what Setup did.
type Action string

// Actions.
const (
	Created   Action = "created"
	Updated   Action = "updated"
	Unchanged Action = "unchanged"
)

var verbs = map[Action]string{Created: "create", Updated: "update", Unchanged: "keep"}

// Change is what Setup did to one stream or consumer.
type Change struct {
	Kind     string // "stream", "consumer"
	Name     string // SMS_RESULTS; SMS_JOBS_ACME/high
	Action   Action
	Settings []Setting // that were changed, when Updated
	Note     string    // why nothing was done, where that needs saying
}

// Setting is one changed setting.
type Setting struct {
	Name     string // as the JetStream API spells it
	From, To string
}

// String is one line: "updated stream SMS_RESULTS: max_age 24h0m0s → 168h0m0s".
func (c Change) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", c.Action, c.Kind, c.Name)
	sep := ": "
	for _, s := range c.Settings {
		fmt.Fprintf(&b, "%s%s %s → %s", sep, s.Name, s.From, s.To)
		sep = ", "
	}
	if c.Note != "" {
		fmt.Fprintf(&b, " (%s)", c.Note)
	}
	return b.String()
}

// streamSettings lists what Setup looks after; everything else (placement,
// description, compression) is the operator's.
func streamSettings(c natsjs.StreamConfig) []Setting {
	return []Setting{
		{Name: "subjects", From: strings.Join(slices.Sorted(slices.Values(c.Subjects)), " ")},
		{Name: "discard", From: fmt.Sprint(c.Discard)},
		{Name: "discard_new_per_subject", From: fmt.Sprint(c.DiscardNewPerSubject)},
		{Name: "max_msgs_per_subject", From: fmt.Sprint(c.MaxMsgsPerSubject)},
		{Name: "max_bytes", From: fmt.Sprint(c.MaxBytes)},
		{Name: "max_age", From: fmt.Sprint(c.MaxAge)},
		{Name: "duplicate_window", From: fmt.Sprint(c.Duplicates)},
		{Name: "num_replicas", From: fmt.Sprint(c.Replicas)},
		{Name: "allow_msg_ttl", From: fmt.Sprint(c.AllowMsgTTL)},
		{Name: "allow_msg_schedules", From: fmt.Sprint(c.AllowMsgSchedules)},
		{Name: "allow_direct", From: fmt.Sprint(c.AllowDirect)},
	}
}

// overlayStream is have with the settings of want that Setup looks after.
func overlayStream(have, want natsjs.StreamConfig) natsjs.StreamConfig {
	have.Subjects = want.Subjects
	have.Discard = want.Discard
	have.DiscardNewPerSubject = want.DiscardNewPerSubject
	have.MaxMsgsPerSubject = want.MaxMsgsPerSubject
	have.MaxBytes = want.MaxBytes
	have.MaxAge = want.MaxAge
	have.Duplicates = want.Duplicates
	have.Replicas = want.Replicas
	have.AllowMsgTTL = have.AllowMsgTTL || want.AllowMsgTTL // cannot be turned off
	have.AllowMsgSchedules = want.AllowMsgSchedules
	have.AllowDirect = want.AllowDirect
	return have
}

func consumerSettings(c natsjs.ConsumerConfig) []Setting {
	return []Setting{
		{Name: "filter_subject", From: c.FilterSubject + strings.Join(c.FilterSubjects, " ")},
		{Name: "ack_policy", From: fmt.Sprint(c.AckPolicy)},
		{Name: "ack_wait", From: fmt.Sprint(c.AckWait)},
		{Name: "max_deliver", From: fmt.Sprint(c.MaxDeliver)},
		{Name: "max_ack_pending", From: fmt.Sprint(c.MaxAckPending)},
		{Name: "backoff", From: fmt.Sprint(c.BackOff)},
	}
}

func overlayConsumer(have, want natsjs.ConsumerConfig) natsjs.ConsumerConfig {
	have.FilterSubject, have.FilterSubjects = want.FilterSubject, nil
	have.AckPolicy = want.AckPolicy
	have.AckWait = want.AckWait
	have.MaxDeliver = want.MaxDeliver
	have.MaxAckPending = want.MaxAckPending
	have.BackOff = nil // would override AckWait
	return have
}

// compare makes the change of two lists of the same settings.
func compare(kind, name string, before, after []Setting) Change {
	c := Change{Kind: kind, Name: name, Action: Unchanged}
	for i, b := range before {
		if a := after[i]; a.From != b.From {
			c.Action = Updated
			c.Settings = append(c.Settings, Setting{Name: b.Name, From: b.From, To: a.From})
		}
	}
	return c
}
