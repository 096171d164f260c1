package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/sms/publish"
)

func TestTheOutcomeIsThatOfTheJob(t *testing.T) {
	t.Parallel()
	_, js, p := publisher(t, publish.Config{})
	ack, err := p.Send(t.Context(), job("a"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Wait(ctx, ack); !errors.Is(err, publish.ErrNoOutcome) {
		t.Errorf("before there is one: %v", err)
	}
	store := func(producer, id string, kind sms.Kind) {
		data, err := json.Marshal(&sms.Result{ID: id + string(kind), Kind: kind, JobID: id, Producer: producer, Route: "acme"})
		if err == nil {
			_, err = js.Publish(t.Context(), sms.Subjects{}.Results(producer, "acme", kind), data)
		}
		if err != nil {
			t.Error(err)
		}
	}
	var group sync.WaitGroup
	group.Go(func() {
		store("bank", "a", sms.KindFailed)
		store("shop", "b", sms.KindExpired)
		store("shop", "a", sms.KindReceipt)
		store("shop", "a", sms.KindSubmitted)
	})
	r, err := p.Wait(t.Context(), ack)
	if err != nil || r.Kind != sms.KindSubmitted || r.JobID != "a" {
		t.Errorf("outcome %+v, %v", r, err)
	}
	group.Wait()
	var kinds []sms.Kind
	err = p.Results(t.Context(), ack, func(r *sms.Result) bool {
		kinds = append(kinds, r.Kind)
		return len(kinds) < 2
	})
	if diff := cmp.Diff([]sms.Kind{sms.KindReceipt, sms.KindSubmitted}, kinds); diff != "" || err != nil {
		t.Errorf("results (-want +got):\n%s%v", diff, err)
	}
}
