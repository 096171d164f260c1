package floor

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/bench/internal/load"
)

// results publishes to JetStream with an inbox of its own: a slot per
// publish in flight, each with its reply subject made once.
type results struct {
	f      *floor
	nc     *nats.Conn
	prefix string // of reply subjects

	mu    sync.Mutex
	slots []slot // guarded by mu
	free  []int  // guarded by mu: indexes of slots not in use
}

// slot is one publish in flight: of a job's outcome or of a receipt.
type slot struct {
	reply string
	job   *job
	rcpt  *receipt
}

func dialResults(url string, f *floor) (*results, error) {
	nc, err := nats.Connect(url, nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { f.fail(fmt.Errorf("results: connection closed")) }))
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	r := &results{f: f, nc: nc, prefix: nats.NewInbox() + "."}
	if _, err := nc.Subscribe(r.prefix+"*", r.acked); err != nil {
		nc.Close()
		return nil, fmt.Errorf("subscribe to publish acks: %w", err)
	}
	return r, nil
}

func (r *results) submitted(j *job) {
	id := j.id + ".submitted"
	b := make([]byte, 0, 384)
	b = r.head(b, id, "submitted", j.id, j.producer)
	b = append(b, `,"parts":[{"number":1,"message_id":"`...)
	b = append(b, j.smsc...)
	b = append(b, `","raw_message_id":"`...)
	b = append(b, j.smsc...)
	b = append(b, `"}],"bind":"`...)
	b = append(b, load.Route...)
	b = append(b, '-')
	b = strconv.AppendInt(b, int64(j.bind), 10)
	b = append(b, `","latency_ms":`...)
	b = strconv.AppendFloat(b, float64(j.latency)/1e6, 'f', 3, 64)
	r.publish(slot{job: j}, id, j.producer, "submitted", append(b, '}'))
}

func (r *results) receipt(rc *receipt) {
	state, known := states[field(rc.raw, "stat:")]
	if !known {
		state = "UNKNOWN"
	}
	id := rc.job + ".receipt.1." + state
	b := make([]byte, 0, 512)
	b = r.head(b, id, "receipt", rc.job, rc.producer)
	b = append(b, `,"message_id":"`...)
	b = append(b, rc.id...)
	b = append(b, `","part":1,"parts_total":1,"state":"`...)
	b = append(b, state...)
	b = append(b, `","final":true,"error_code":"`...)
	b = append(b, field(rc.raw, "err:")...)
	b = append(b, `","submit_date":"`...)
	b = appendDate(b, field(rc.raw, "submit date:"))
	b = append(b, `","done_date":"`...)
	b = appendDate(b, field(rc.raw, "done date:"))
	b = append(b, `","raw":`...)
	b = strconv.AppendQuoteToASCII(b, rc.raw)
	b = append(b, `,"job_state":"`...)
	b = append(b, state...)
	r.publish(slot{rcpt: rc}, id, rc.producer, "receipt", append(b, `"}`...))
}

var states = map[string]string{
	"DELIVRD": "DELIVERED", "EXPIRED": "EXPIRED", "DELETED": "DELETED",
	"UNDELIV": "UNDELIVERABLE", "ACCEPTD": "ACCEPTED", "REJECTD": "REJECTED",
}

// head appends the fields that all kinds of results have.
func (r *results) head(b []byte, id, kind, job, producer string) []byte {
	b = append(b, `{"id":"`...)
	b = append(b, id...)
	b = append(b, `","kind":"`...)
	b = append(b, kind...)
	b = append(b, `","job_id":"`...)
	b = append(b, job...)
	b = append(b, `","producer":"`...)
	b = append(b, producer...)
	b = append(b, `","route":"`...)
	b = append(b, load.Route...)
	b = append(b, `","time":"`...)
	b = time.Now().UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, `","attempt":1`...)
}

// appendDate appends a receipt's date, YYMMDDhhmm[ss], as RFC 3339.
func appendDate(b []byte, s string) []byte {
	if len(s) < 10 {
		return b
	}
	seconds := "00"
	if len(s) >= 12 {
		seconds = s[10:12]
	}
	for _, p := range [...]string{"20", s[:2], "-", s[2:4], "-", s[4:6], "T", s[6:8], ":", s[8:10], ":", seconds, "Z"} {
		b = append(b, p...)
	}
	return b
}

func (r *results) publish(s slot, id, producer, kind string, data []byte) {
	r.mu.Lock()
	if len(r.free) == 0 {
		r.free = append(r.free, len(r.slots))
		r.slots = append(r.slots, slot{reply: r.prefix + strconv.Itoa(len(r.slots))})
	}
	i := r.free[len(r.free)-1]
	r.free = r.free[:len(r.free)-1]
	s.reply = r.slots[i].reply
	r.slots[i] = s
	r.mu.Unlock()
	err := r.nc.PublishMsg(&nats.Msg{
		Subject: strings.Join([]string{"sms.results", producer, load.Route, kind}, "."),
		Reply:   s.reply,
		Header:  nats.Header{nats.MsgIdHdr: []string{id}},
		Data:    data,
	})
	if err != nil {
		r.f.fail(fmt.Errorf("publish: %w", err))
	}
}

// acked ends a publish: the result is durable, so its cause may be answered.
func (r *results) acked(m *nats.Msg) {
	if bytes.Contains(m.Data, []byte(`"error"`)) || !bytes.Contains(m.Data, []byte(`"seq"`)) {
		r.f.fail(fmt.Errorf("publish: %s %s", m.Header.Get("Status"), m.Data))
		return
	}
	i, err := strconv.Atoi(m.Subject[len(r.prefix):])
	r.mu.Lock()
	if err != nil || i >= len(r.slots) {
		r.mu.Unlock()
		r.f.fail(fmt.Errorf("publish ack on %s", m.Subject))
		return
	}
	s := r.slots[i]
	r.slots[i] = slot{reply: s.reply}
	r.free = append(r.free, i)
	r.mu.Unlock()
	if s.rcpt != nil {
		s.rcpt.bind.answer(deliverSMResp, s.rcpt.seq)
		return
	}
	if err := s.job.msg.Ack(); err != nil {
		r.f.fail(fmt.Errorf("ack: %w", err))
	}
}

// parseJob takes id, to and text from a job whose strings need no unescaping,
// and the producer from its subject.
func parseJob(m jetstream.Msg) (*job, error) {
	data, subject := string(m.Data()), m.Subject()
	j := &job{msg: m, producer: subject[strings.LastIndexByte(subject, '.')+1:]}
	for _, f := range []struct {
		key string
		to  *string
	}{{`"id":"`, &j.id}, {`"to":"`, &j.to}, {`"text":"`, &j.text}} {
		_, v, ok := strings.Cut(data, f.key)
		if ok {
			*f.to, _, ok = strings.Cut(v, `"`)
		}
		if !ok {
			return nil, fmt.Errorf("job without %s: %s", f.key, data)
		}
	}
	return j, nil
}
