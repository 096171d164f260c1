package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Types of a delivery report: Kannel's %d.
const (
	delivered     = 1
	undeliverable = 2
	accepted      = 8
	refused       = 16
)

// result is a result in the worker's shape.
type result struct {
	ID         string `json:"id"`
	Kind       string `json:"kind"`
	JobID      string `json:"job_id"`
	Producer   string `json:"producer"`
	Route      string `json:"route"`
	Time       string `json:"time"`
	Attempt    int    `json:"attempt"`
	Parts      []part `json:"parts,omitempty"`
	Code       string `json:"code,omitempty"`
	Reason     string `json:"reason,omitempty"`
	MessageID  string `json:"message_id,omitempty"`
	Part       int    `json:"part,omitempty"`
	PartsTotal int    `json:"parts_total,omitempty"`
	State      string `json:"state,omitempty"`
	Final      bool   `json:"final,omitempty"`
	ErrorCode  string `json:"error_code,omitempty"`
	Raw        string `json:"raw,omitempty"`
	JobState   string `json:"job_state,omitempty"`
}

type part struct {
	Number       int    `json:"number"`
	MessageID    string `json:"message_id"`
	RawMessageID string `json:"raw_message_id"`
}

// report takes a delivery report from smsbox, and answers it once its result is stored.
func (b *bridge) report(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	kind, err := strconv.Atoi(q.Get("type"))
	if err == nil {
		err = b.publish(kind, q.Get("job"), q.Get("producer"), q.Get("id"), q.Get("text"))
	}
	if err != nil {
		b.fail(fmt.Errorf("delivery report %s: %w", r.URL.RawQuery, err))
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func (b *bridge) publish(kind int, job, producer, id, text string) error {
	res := result{JobID: job, Producer: producer, Route: b.cfg.smsc, Time: time.Now().UTC().Format(time.RFC3339Nano), Attempt: 1}
	switch kind {
	case accepted:
		res.ID, res.Kind = job+".submitted", "submitted"
		res.Parts = []part{{Number: 1, MessageID: id, RawMessageID: id}}
	case refused:
		res.ID, res.Kind, res.Code, res.Reason = job+".failed", "failed", "rejected", text
	case delivered, undeliverable:
		res.receipt(kind, id, text)
	default:
		return fmt.Errorf("unknown type %d", kind)
	}
	data, err := json.Marshal(&res)
	if err != nil {
		return err
	}
	f, err := b.js.PublishMsgAsync(&nats.Msg{
		Subject: "sms.results." + producer + "." + b.cfg.smsc + "." + res.Kind,
		Header:  nats.Header{nats.MsgIdHdr: []string{res.ID}},
		Data:    data,
	})
	if err != nil {
		return err
	}
	select {
	case <-f.Ok():
	case err := <-f.Err():
		return err
	}
	if res.Kind == "receipt" {
		return nil
	}
	return b.settle(job)
}

// receipt fills in the report on a message that the SMSC took in.
func (r *result) receipt(kind int, id, text string) {
	r.State = "DELIVERED"
	if kind == undeliverable {
		r.State = "UNDELIVERABLE"
	}
	r.ID, r.Kind = r.JobID+".receipt.1."+r.State, "receipt"
	r.MessageID, r.Part, r.PartsTotal = id, 1, 1
	r.Final, r.JobState, r.Raw = true, r.State, text
	if _, rest, ok := strings.Cut(text, "err:"); ok {
		r.ErrorCode, _, _ = strings.Cut(rest, " ")
	}
}

// settle acks a job.
func (b *bridge) settle(job string) error {
	b.mu.Lock()
	m, ok := b.waiting[job]
	delete(b.waiting, job)
	b.mu.Unlock()
	if !ok {
		return fmt.Errorf("job %s has an outcome already", job)
	}
	<-b.slots
	return m.Ack()
}
