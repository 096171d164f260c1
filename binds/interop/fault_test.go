//go:build interop

package interop_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

// workload is jobs whose every part can be told from all others.
type workload struct {
	jobs  []string             // as published
	parts map[string][]partKey // by job id, as the SMSC has to see them
	once  map[string]bool      // the job must not be submitted twice
	to    map[string]bool      // recipients; none has two jobs
	total int                  // parts
}

// newWorkload makes n jobs, at most 400, of which every third is long and every fourth
// delivered at most once.
func newWorkload(t *testing.T, n int) *workload {
	t.Helper()
	w := &workload{parts: map[string][]partKey{}, once: map[string]bool{}, to: map[string]bool{}}
	rules := dispatcher.MessageRules{Source: sms.Address{TON: 5, Addr: "ACME"}}
	for i := range n {
		id := fmt.Sprintf("job-%d", i)
		content := fmt.Sprintf("Nr. %d", i)
		if i%3 == 2 {
			content = strings.Repeat(content+" [€] ", 20+i%20)
		}
		job := &sms.Job{ID: id, To: fmt.Sprintf("447700900%03d", i), Text: &content, Delivery: sms.AtLeastOnce}
		if i%4 == 3 {
			job.Delivery, w.once[id] = sms.AtMostOnce, true
		}
		msgs, err := rules.Encode("shop", job)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range msgs {
			header := 0
			if m.ESMClass&sms.ESMClassUDHI != 0 {
				header = int(m.ShortMessage[0]) + 1
			}
			decoded, _ := text.Decode(m.DataCoding, m.ShortMessage[header:])
			w.parts[id] = append(w.parts[id], partKey{m.Destination.Addr, hex.EncodeToString(m.ShortMessage[:header]), decoded, m.Part})
		}
		w.to[job.To] = true
		w.total += len(msgs)
		body, err := json.Marshal(job)
		if err != nil {
			t.Fatal(err)
		}
		w.jobs = append(w.jobs, string(body))
	}
	return w
}

// settled waits until each of its jobs has an outcome, and returns them.
func (w *workload) settled(r *apptest.Rig) map[string]*sms.Result {
	outcomes := map[string]*sms.Result{}
	r.Await("the outcome of every job", func(all []*sms.Result) bool {
		for _, res := range all {
			if res.Kind.Terminal() && w.parts[res.JobID] != nil {
				outcomes[res.JobID] = res
			}
		}
		return len(outcomes) == len(w.jobs)
	})
	return outcomes
}

// received waits for the receipts of all parts that the outcomes name.
func received(r *apptest.Rig, outcomes map[string]*sms.Result) {
	r.Await("the receipt of every part", func(all []*sms.Result) bool {
		got := map[string]bool{}
		for _, res := range all {
			if res.Kind == sms.KindReceipt && res.Producer == "shop" && res.Final {
				got[fmt.Sprint(res.JobID, " ", res.Part)] = true
			}
		}
		for id, o := range outcomes {
			for _, p := range o.Parts {
				if !got[fmt.Sprint(id, " ", p.Number)] {
					return false
				}
			}
		}
		return true
	})
}

// judgeOnce checks that each job went out at its first attempt, and that the
// SMSC accepted each part once and nothing else.
func (w *workload) judgeOnce(t *testing.T, s *nodeSMSC, outcomes map[string]*sms.Result) {
	t.Helper()
	want, got := map[partKey]int{}, s.parts(t, smsctest.ROK)
	for p := range got {
		if !w.to[p.to] {
			delete(got, p) // of another job of the test
		}
	}
	for id, parts := range w.parts {
		if o := outcomes[id]; o.Kind != sms.KindSubmitted || o.Attempt != 1 || o.PossibleDuplicate || len(o.Parts) != len(parts) {
			t.Errorf("%s: %s in attempt %d, possible_duplicate %t, %d parts of %d", id, o.Kind, o.Attempt, o.PossibleDuplicate, len(o.Parts), len(parts))
		}
		for _, p := range parts {
			want[p] = 1
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parts that node-smpp accepted (-sent +got):\n%s", diff)
	}
}

func TestWorkerSendsAgainWhatIsThrottledAndNothingElse(t *testing.T) {
	t.Parallel()
	s := startNode(t, "--throttle-every", "16")
	r := apptest.Start(t, s.addr, "")
	stop := r.Worker("w1")
	w := newWorkload(t, 300)
	r.Publish(w.jobs...)
	outcomes := w.settled(r)
	received(r, outcomes)
	if err := stop(); err != nil {
		t.Errorf("drain: %v", err)
	}
	w.judgeOnce(t, s, outcomes)
	refused, submits := 0, len(s.lines(t, "submit"))
	for _, n := range s.parts(t, smsctest.RTHROTTLED) {
		refused += n
	}
	if refused != submits/16 || submits != w.total+refused {
		t.Errorf("%d submits for %d parts, %d of them throttled", submits, w.total, refused)
	}
	s.audit(t)
}

func TestWorkerOutlivesAServerThatUnbinds(t *testing.T) {
	t.Parallel()
	s := startNode(t, "--unbind-after", "120", "--latency", "30")
	r := apptest.Start(t, s.addr, "    backoff: {peer_unbind: 100ms}\n")
	stop := r.Worker("w1")
	w := newWorkload(t, 300)
	r.Publish(w.jobs...)
	outcomes := w.settled(r)
	received(r, outcomes)
	if err := stop(); err != nil {
		t.Errorf("drain: %v", err)
	}
	w.judgeOnce(t, s, outcomes)
	commands := map[string]int{}
	for _, p := range s.lines(t, "pdu") {
		commands[p.Dir+" "+p.Command]++
	}
	for command, want := range map[string]int{"out unbind": 2, "in unbind_resp": 2, "in bind_transceiver": 4, "in unbind": 2} {
		if got := commands[command]; got != want {
			t.Errorf("%d × %s, want %d", got, command, want)
		}
	}
	s.audit(t)
}

func TestWorkerLosesNothingWhenTheServerIsKilledAndComesBack(t *testing.T) {
	t.Parallel()
	for _, bindType := range []string{"transceiver", "transmitter+receiver"} {
		t.Run(bindType, func(t *testing.T) {
			t.Parallel()
			s := startNode(t, "--latency", "100")
			r := apptest.Start(t, s.addr, "    backoff: {base: 50ms, max: 200ms}\n    bind_type: "+bindType+"\n")
			stop := r.Worker("w1")
			w := newWorkload(t, 400)
			r.Publish(w.jobs...)
			for _, seen := range []int{150, 450} { // with a full window of unanswered submits
				s.await(t, "submit", seen)
				s.restart(t)
			}
			outcomes := w.settled(r)
			received(r, outcomes)
			if err := stop(); err != nil {
				t.Errorf("drain: %v", err)
			}
			w.judgeInDoubt(t, s, outcomes)
			s.audit(t)
		})
	}
}

// judgeInDoubt checks that the SMSC accepted every part of each job, and none
// twice, except where the outcome says that this may be.
func (w *workload) judgeInDoubt(t *testing.T, s *nodeSMSC, outcomes map[string]*sms.Result) {
	t.Helper()
	got := s.parts(t, smsctest.ROK)
	doubted, repeated := 0, 0
	for id, parts := range w.parts {
		o := outcomes[id]
		uncertain := o.Kind == sms.KindUncertain
		if o.PossibleDuplicate || uncertain {
			doubted++
		}
		if uncertain != (w.once[id] && o.PossibleDuplicate) || !uncertain && (o.Kind != sms.KindSubmitted || len(o.Parts) != len(parts)) {
			t.Errorf("%s: %s with %d parts of %d, possible_duplicate %t, at most once %t", id, o.Kind, len(o.Parts), len(parts), o.PossibleDuplicate, w.once[id])
		}
		for _, p := range parts {
			n := got[p]
			delete(got, p)
			if n > 1 {
				repeated++
			}
			if n == 0 && !uncertain || n > 1 && (w.once[id] || !o.PossibleDuplicate) {
				t.Errorf("%s, part %d: accepted %d times, but %s, possible_duplicate %t, at most once %t", id, p.part, n, o.Kind, o.PossibleDuplicate, w.once[id])
			}
		}
	}
	if len(got) > 0 {
		t.Errorf("accepted but never sent: %v", got)
	}
	if doubted == 0 || repeated == 0 {
		t.Errorf("%d jobs in doubt, %d parts twice: the server was not killed mid-window", doubted, repeated)
	}
	t.Logf("%d jobs in doubt, %d parts accepted twice, of %d parts", doubted, repeated, w.total)
}
