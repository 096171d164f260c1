package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// dlrMask asks for delivered (1), undeliverable (2), accepted by the SMSC (8)
// and refused by the SMSC (16).
const dlrMask = "27"

// job is what is read of a job.
type job struct {
	ID   string `json:"id"`
	To   string `json:"to"`
	Text string `json:"text"`
}

// send hands jobs to smsbox, one after the other over a connection that stays.
func (b *bridge) send(ctx context.Context, listen string) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-b.work:
			if err := b.sendOne(ctx, listen, m); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

func (b *bridge) sendOne(ctx context.Context, listen string, m jetstream.Msg) error {
	var j job
	if err := json.Unmarshal(m.Data(), &j); err != nil {
		return fmt.Errorf("decode job: %w", err)
	}
	b.mu.Lock()
	_, again := b.waiting[j.ID]
	b.waiting[j.ID] = m
	b.mu.Unlock()
	if again {
		return fmt.Errorf("job %s is delivered again before its outcome", j.ID)
	}
	producer := m.Subject()[strings.LastIndexByte(m.Subject(), '.')+1:]
	// smsbox fills in what begins with a per cent sign.
	dlr := "http://" + listen + "/?job=" + url.QueryEscape(j.ID) + "&producer=" + url.QueryEscape(producer) + "&type=%d&id=%F&text=%A"
	query := url.Values{
		"username": {b.cfg.user}, "password": {b.cfg.user}, "smsc": {b.cfg.smsc},
		"from": {b.cfg.source}, "to": {j.To}, "text": {j.Text}, "charset": {"UTF-8"}, "coding": {"0"},
		"dlr-mask": {dlrMask}, "dlr-url": {dlr},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.cfg.sendsms+"?"+query.Encode(), nil)
	if err != nil {
		return fmt.Errorf("sendsms: %w", err)
	}
	resp, err := b.http.Do(req)
	if err != nil {
		return fmt.Errorf("sendsms: %w", err)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("sendsms: %w", err)
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("sendsms: %s: %s", resp.Status, answer)
	}
	return nil
}
