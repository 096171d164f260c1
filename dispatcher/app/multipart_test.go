package app_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/app/apptest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// threeParts is a job whose text takes three messages.
func threeParts(id string) string {
	return fmt.Sprintf(`{"id":%q,"to":"447700900123","text":%q}`, id, strings.Repeat("0123456789", 40))
}

// partOf is the number in the user data header, with an 8-bit reference.
func partOf(m *smsctest.Submit) int {
	udh, _ := m.UserData()
	return int(udh[5])
}

// perPart answers each submit_sm by its part and how often that came before.
func perPart(answer func(part, before int) smsctest.Action) func(*smsctest.Submit) smsctest.Action {
	var mu sync.Mutex
	seen := map[int]int{} // guarded by mu
	return func(m *smsctest.Submit) smsctest.Action {
		mu.Lock()
		defer mu.Unlock()
		part := partOf(m)
		seen[part]++
		return answer(part, seen[part]-1)
	}
}

// sent counts the submits of each part and the references that they had.
func (r *rig) sent() (parts map[int]int, refs int) {
	parts = map[int]int{}
	all := map[byte]bool{}
	for _, m := range r.smsc.Submits() {
		udh, _ := m.UserData()
		parts[partOf(&m)]++
		all[udh[3]] = true
	}
	return parts, len(all)
}

// numbers of parts, in their order.
func numbers(parts []sms.Part) []int {
	var n []int
	for _, p := range parts {
		n = append(n, p.Number)
	}
	return n
}

// jobStates are those of distinct results.
func jobStates(all []*sms.Result) []sms.State {
	var states []sms.State
	seen := map[string]bool{}
	for _, res := range all {
		if res.Kind == sms.KindReceipt && res.JobState != "" && !seen[res.ID] {
			seen[res.ID] = true
			states = append(states, res.JobState)
		}
	}
	return states
}

func TestARefusedPartIsRetriedAloneUnderTheSameReference(t *testing.T) {
	t.Parallel()
	r := newRig(t, smsctest.Config{OnSubmit: perPart(func(part, before int) smsctest.Action {
		if part == 2 && before < 2 {
			return smsctest.Action{Status: smsctest.RSYSERR}
		}
		return smsctest.Action{}
	})}, "")
	r.Worker("w1")
	r.Worker("w2")
	r.Publish(threeParts("long"))
	got := r.AwaitKinds("long", sms.KindSubmitted)[0]
	if got.Attempt != 3 || got.PossibleDuplicate {
		t.Errorf("attempt %d, possible_duplicate %t; want 3, false", got.Attempt, got.PossibleDuplicate)
	}
	if diff := cmp.Diff([]int{1, 2, 3}, numbers(got.Parts)); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	parts, refs := r.sent()
	if diff := cmp.Diff(map[int]int{1: 1, 2: 3, 3: 1}, parts); diff != "" || refs != 1 {
		t.Errorf("with %d references, submits by part (-want +got):\n%s", refs, diff)
	}
	all := r.Await("three receipts", func(all []*sms.Result) bool { return len(all) == 4 })
	if diff := cmp.Diff([]sms.State{sms.StateDelivered}, jobStates(all)); diff != "" {
		t.Errorf("job states (-want +got):\n%s", diff)
	}
}

func TestAJobThatFailsNamesThePartsThatAreOut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status  uint32
		code    sms.Code
		submits int // of the part that is refused
	}{
		"refused for good":   {smsctest.RINVDSTADR, sms.CodeRejected, 1},
		"attempts are spent": {smsctest.RSYSERR, sms.CodeTemporary, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, smsctest.Config{OnSubmit: perPart(func(part, _ int) smsctest.Action {
				if part == 2 {
					return smsctest.Action{Status: tc.status}
				}
				return smsctest.Action{}
			})}, "")
			r.Worker("w1")
			r.Publish(threeParts("long"))
			failed := r.AwaitKinds("long", sms.KindFailed)[0]
			if failed.Code != tc.code || failed.Status != tc.status || failed.PossibleDuplicate {
				t.Errorf("code %s, status %#x, possible_duplicate %t", failed.Code, failed.Status, failed.PossibleDuplicate)
			}
			if diff := cmp.Diff([]int{1, 3}, numbers(failed.Parts)); diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
			if parts, _ := r.sent(); parts[1] != 1 || parts[2] != tc.submits || parts[3] != 1 {
				t.Errorf("submits by part %v, want %d of the second, else one each", parts, tc.submits)
			}
			all := r.Await("the receipts of what is out", func(all []*sms.Result) bool { return len(all) == 3 })
			for _, res := range all {
				if res.Kind == sms.KindReceipt && (res.PartsTotal != 3 || res.Part == 2 || res.JobState != "") {
					t.Errorf("receipt of part %d of %d with job_state %q", res.Part, res.PartsTotal, res.JobState)
				}
			}
			if n := r.Outcomes()["long"]; n != 1 {
				t.Errorf("%d outcomes, want 1", n)
			}
		})
	}
}

func TestReceiptsOfPartsInAnyOrderSayTheStateOfTheJobOnce(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	receipts := map[int][]smsctest.Receipt{
		1: {{Delay: 300 * ms}, {Delay: 500 * ms}},                                                     // repeated
		2: {{State: "UNDELIV", Before: true}, {State: "UNDELIV", Delay: 400 * ms}, {Delay: 700 * ms}}, // thinks again
		3: {{State: "ENROUTE", Delay: 100 * ms}, {State: "EXPIRED", Delay: 50 * ms}, {State: "EXPIRED", Delay: 600 * ms}},
	}
	r := newRig(t, smsctest.Config{OnSubmit: perPart(func(part, _ int) smsctest.Action {
		return smsctest.Action{Receipts: receipts[part]}
	})}, "")
	r.Worker("w1")
	r.Worker("w2")
	const jobs = 10
	for n := range jobs {
		r.Publish(threeParts(fmt.Sprintf("long-%d", n)))
	}
	apptest.Until(t, "every receipt and repeat is answered", func() bool {
		answered := 0
		for _, d := range r.smsc.Receipts() {
			if d.Outcome == smsctest.Acked {
				answered++
			}
		}
		return answered == jobs*8
	})
	all := r.Await("five receipts of each job", func(all []*sms.Result) bool { return len(all) == jobs*6 })
	for n := range jobs {
		own := slices.DeleteFunc(slices.Clone(all), func(res *sms.Result) bool { return res.JobID != fmt.Sprintf("long-%d", n) })
		if diff := cmp.Diff([]sms.State{sms.StateUndeliverable}, jobStates(own)); diff != "" {
			t.Errorf("job states of job %d (-want +got):\n%s", n, diff)
		}
		for _, res := range own {
			if res.Kind == sms.KindReceipt && (res.PartsTotal != 3 || res.Part < 1 || res.Part > 3) {
				t.Errorf("receipt of part %d of %d", res.Part, res.PartsTotal)
			}
		}
	}
}
