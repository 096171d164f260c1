// Package load is the producer and the consumer of a measurement: it makes
// jobs, publishes them and reads the results stream, by the contract of DESIGN
// §3 as any producer service would, without the worker's code.
package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Names of a measurement.
const (
	Route    = "bench"
	Producer = "bench"
	Jobs     = "SMS_JOBS_BENCH"
	Retries  = "SMS_RETRY"
	Results  = "SMS_RESULTS"
)

// Job is a job to publish.
type Job struct {
	ID       string
	To       string
	Text     string
	Delivery string // empty means the default
	Route    string // empty means Route
	Lane     string // empty means normal
}

// Message is the job as it is published.
func (j Job) Message() *nats.Msg {
	return &nats.Msg{
		Subject: "sms.jobs." + cmp.Or(j.Route, Route) + "." + cmp.Or(j.Lane, "normal") + "." + Producer,
		Header:  nats.Header{nats.MsgIdHdr: []string{j.ID}},
		Data:    j.AppendJSON(nil),
	}
}

// JobsOf names the stream of a route's jobs.
func JobsOf(route string) string { return "SMS_JOBS_" + strings.ToUpper(route) }

// AppendJSON appends the job as producers write it. Its strings need no escaping.
func (j Job) AppendJSON(b []byte) []byte {
	b = append(b, `{"id":"`...)
	b = append(b, j.ID...)
	b = append(b, `","to":"`...)
	b = append(b, j.To...)
	b = append(b, `","text":"`...)
	b = append(b, j.Text...)
	if j.Delivery != "" {
		b = append(b, `","delivery":"`...)
		b = append(b, j.Delivery...)
	}
	return append(b, `"}`...)
}

// Number is one of the mobile numbers that Ofcom keeps for fiction, without
// those above 900399, on which the simulator acts.
func Number(i int) string { return strconv.Itoa(447700900000 + i%400) }

// Single is a job of one GSM 03.38 message whose text no other job has.
func Single(run string, i int) Job {
	id := fmt.Sprintf("%s-%07d", run, i)
	return Job{ID: id, To: Number(i), Text: id + " is your code. Do not tell it to anybody who calls you."}
}

// Cyrillic is a job of one UCS-2 message, as many characters long as Single's.
func Cyrillic(run string, i int) Job {
	id := fmt.Sprintf("%s-%07d", run, i)
	return Job{ID: id, To: Number(i), Text: id + " – ваш код. Никому не говорите его, кто бы ни позвонил."}
}

// Multipart is a job of so many messages, each of which begins with the job's
// id: 153 septets fit into a part (3GPP TS 23.040 §9.2.3.24.1).
func Multipart(run string, i, parts int) Job {
	id := fmt.Sprintf("%s-%07d", run, i)
	part := id + " " + strings.Repeat("terms and conditions apply ", 6)
	text := strings.Repeat(part[:153], parts-1) + part[:100]
	return Job{ID: id, To: Number(i), Text: text}
}

// Connect connects to NATS for as long as the run lasts, restarts of the server included.
func Connect(url string) (*nats.Conn, jetstream.JetStream, error) {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond),
		nats.ReconnectJitter(10*time.Millisecond, 0))
	if err != nil {
		return nil, nil, fmt.Errorf("connect to NATS: %w", err)
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2*chunk), jetstream.WithPublishAsyncTimeout(5*time.Second))
	if err != nil {
		nc.Close()
		return nil, nil, fmt.Errorf("use JetStream: %w", err)
	}
	return nc, js, nil
}

// chunk is the number of publishes that are in flight together.
const chunk = 4000

// Publish publishes the jobs, so many per second (0: as fast as it goes), each
// until the server has acknowledged it: what fails is published again under the
// same Nats-Msg-Id. each is called after every chunk with the number published so far.
func Publish(ctx context.Context, js jetstream.JetStream, jobs iter.Seq[Job], perSecond float64, each func(int)) error {
	size, began, done := chunk, time.Now(), 0
	if perSecond > 0 {
		size = max(1, min(chunk, int(perSecond/20)))
	}
	msgs := make([]*nats.Msg, 0, size)
	flush := func() error {
		n := len(msgs)
		if err := publish(ctx, js, msgs); err != nil {
			return err
		}
		msgs = msgs[:0]
		done += n
		each(done)
		if perSecond <= 0 {
			return nil
		}
		return Pause(ctx, time.Until(began.Add(time.Duration(float64(done)/perSecond*float64(time.Second)))))
	}
	for j := range jobs {
		msgs = append(msgs, j.Message())
		if len(msgs) == size {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// giveUp is how long nothing may be acknowledged before publishing is an error.
const giveUp = 30 * time.Second

// publish publishes until every message is acknowledged.
func publish(ctx context.Context, js jetstream.JetStream, msgs []*nats.Msg) error {
	progress := time.Now()
	for len(msgs) > 0 {
		failed, err := publishOnce(ctx, js, msgs)
		if len(failed) < len(msgs) {
			progress = time.Now()
		}
		if ctx.Err() != nil || time.Since(progress) > giveUp {
			return fmt.Errorf("publish jobs: %w", err)
		}
		if len(failed) > 0 {
			if err := Pause(ctx, 50*time.Millisecond); err != nil {
				return fmt.Errorf("publish jobs: %w", err)
			}
		}
		msgs = failed
	}
	return nil
}

// publishOnce publishes all and returns those that were not acknowledged, with
// the last reason.
func publishOnce(ctx context.Context, js jetstream.JetStream, msgs []*nats.Msg) ([]*nats.Msg, error) {
	var failed []*nats.Msg
	var last error
	futures := make([]jetstream.PubAckFuture, 0, len(msgs))
	for _, m := range msgs {
		f, err := js.PublishMsgAsync(m)
		if err != nil {
			failed, last = append(failed, m), err
			continue
		}
		futures = append(futures, f)
	}
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			failed, last = append(failed, f.Msg()), err
		case <-ctx.Done():
			return append(failed, f.Msg()), context.Cause(ctx)
		}
	}
	return failed, last
}

// Counts are the messages of the results stream by kind, repeats included.
type Counts struct {
	Outcomes    int64     // terminal results
	Receipts    int64     // receipts, matched or not
	First, Last time.Time // when the server stored the first and the last message
}

// Count asks for the counts without reading the stream.
func Count(ctx context.Context, js jetstream.JetStream) (Counts, error) {
	s, err := js.Stream(ctx, Results)
	if err != nil {
		return Counts{}, fmt.Errorf("find %s: %w", Results, err)
	}
	return CountIn(ctx, s)
}

// CountIn is Count of a stream that was looked up before: one request.
func CountIn(ctx context.Context, results jetstream.Stream) (Counts, error) {
	var c Counts
	info, err := results.Info(ctx, jetstream.WithSubjectFilter("sms.results.>"))
	if err != nil {
		return c, fmt.Errorf("count %s: %w", Results, err)
	}
	for subject, n := range info.State.Subjects {
		if strings.HasSuffix(subject, ".receipt") {
			c.Receipts += int64(n)
		} else {
			c.Outcomes += int64(n)
		}
	}
	c.First, c.Last = info.State.FirstTime, info.State.LastTime
	return c, nil
}

// Waiting is the number of messages in a stream; one that does not exist has none.
func Waiting(ctx context.Context, js jetstream.JetStream, stream string) (uint64, error) {
	s, err := js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("find %s: %w", stream, err)
	}
	return s.CachedInfo().State.Msgs, nil
}

// ReadResults hands over every message of the results stream from a sequence
// number (from 1) on to the last one that is there, and returns the number to go on from.
func ReadResults(ctx context.Context, js jetstream.JetStream, from uint64, each func([]byte) error) (uint64, error) {
	return ReadStored(ctx, js, from, func(data []byte, _ time.Time) error { return each(data) })
}

// ReadStored is ReadResults that also tells when the server stored each message.
func ReadStored(ctx context.Context, js jetstream.JetStream, from uint64, each func([]byte, time.Time) error) (uint64, error) {
	s, err := js.Stream(ctx, Results)
	if err != nil {
		return from, fmt.Errorf("find %s: %w", Results, err)
	}
	last := s.CachedInfo().State.LastSeq
	if last < from {
		return from, nil
	}
	cons, err := js.OrderedConsumer(ctx, Results, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   from,
	})
	if err != nil {
		return from, fmt.Errorf("read %s: %w", Results, err)
	}
	it, err := cons.Messages(jetstream.PullMaxMessages(5000))
	if err != nil {
		return from, fmt.Errorf("read %s: %w", Results, err)
	}
	defer it.Stop()
	for from <= last {
		m, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			return from, fmt.Errorf("read %s: %w", Results, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return from, fmt.Errorf("read %s: %w", Results, err)
		}
		if err := each(m.Data(), meta.Timestamp); err != nil {
			return from, err
		}
		from = meta.Sequence.Stream + 1
	}
	return from, nil
}

// LaneConsumer is the consumer of a stream's lane that setup made for workers, or
// one of this name where there is none: a work queue has one per subject.
func LaneConsumer(ctx context.Context, js jetstream.JetStream, stream, lane, name string) (jetstream.Consumer, error) {
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	list := s.ListConsumers(ctx)
	found := ""
	for info := range list.Info() {
		if info.Config.FilterSubject == lane || len(info.Config.FilterSubjects) == 1 && info.Config.FilterSubjects[0] == lane {
			found = info.Name
		}
	}
	if err := list.Err(); err != nil {
		return nil, err
	}
	if found != "" {
		return s.Consumer(ctx, found)
	}
	return s.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: name, AckPolicy: jetstream.AckExplicitPolicy, AckWait: 90 * time.Second,
		MaxDeliver: -1, MaxAckPending: 20_000, FilterSubject: lane,
	})
}

// Pause waits for d or until ctx ends.
func Pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
