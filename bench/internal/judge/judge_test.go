package judge

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// facts are records of four jobs as they ought to be; tests break one thing each.
type facts struct {
	submits []Submit
	results []string
}

func jobs() []Job {
	return []Job{
		{ID: "one", Parts: 1},
		{ID: "three", Parts: 3},
		{ID: "once", Parts: 1, AtMostOnce: true},
		{ID: "no", Parts: 1, Refused: true},
	}
}

func good() facts {
	return facts{
		submits: []Submit{
			{Job: "one", Part: 1, MessageID: "m1"}, {Job: "three", Part: 1, MessageID: "m2"}, {Job: "three", Part: 2, MessageID: "m3"}, {Job: "three", Part: 3, MessageID: "m4"}, {Job: "once", Part: 1, MessageID: "m5"}, {Job: "no", Part: 1, MessageID: ""},
		},
		results: []string{
			submitted("one", "", "m1"), submitted("three", "", "m2", "m3", "m4"), submitted("once", "", "m5"),
			`{"id":"no.o","kind":"failed","job_id":"no","producer":"p","code":"rejected"}`,
			lastReceipt("one", 1, "m1"), receipt("three", 1, "m2"), receipt("three", 2, "m3"), lastReceipt("three", 3, "m4"), lastReceipt("once", 1, "m5"),
		},
	}
}

func submitted(job, more string, ids ...string) string {
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = fmt.Sprintf(`{"number":%d,"message_id":%q}`, i+1, id)
	}
	return fmt.Sprintf(`{"id":"%s.o","kind":"submitted","job_id":%q,"producer":"p","parts":[%s]%s}`, job, job, strings.Join(parts, ","), more)
}

func receipt(job string, part int, id string) string {
	return fmt.Sprintf(`{"id":"%s.r","kind":"receipt","job_id":%q,"producer":"p","message_id":%q,"part":%d,"state":"DELIVERED","final":true}`, id, job, id, part)
}

// lastReceipt is the one that completes the parts of a job.
func lastReceipt(job string, part int, id string) string {
	return strings.TrimSuffix(receipt(job, part, id), "}") + `,"job_state":"DELIVERED"}`
}

func unmatched(id string) string {
	return fmt.Sprintf(`{"id":"%s.u","kind":"receipt","producer":"_unmatched","message_id":%q,"state":"DELIVERED","final":true}`, id, id)
}

const inDoubt = `,"possible_duplicate":true`

func (f *facts) replace(t *testing.T, old, with string) {
	t.Helper()
	for i, r := range f.results {
		if r == old {
			f.results[i] = with
			return
		}
	}
	t.Fatalf("no result %s to replace", old)
}

func (f *facts) drop(t *testing.T, old string) {
	f.replace(t, old, f.results[len(f.results)-1])
	f.results = f.results[:len(f.results)-1]
}

func (f facts) judge(t *testing.T, order func(submits, results func())) *Verdict {
	t.Helper()
	j := New(jobs())
	order(func() {
		for _, s := range f.submits {
			j.Submit(s)
		}
	}, func() {
		for _, r := range f.results {
			if err := j.Result([]byte(r)); err != nil {
				t.Fatal(err)
			}
		}
	})
	return j.Verdict()
}

// broken is the part of a verdict that must be 0.
type broken struct {
	Lost, LostReceipts, TwoOutcomes, DupNotAllowed, Orphaned, FalseClaims, Stray, JobStates int
}

func TestJudgeCatchesEveryKindOfBrokenPromise(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*testing.T, *facts)
		want   broken
	}{
		"nothing is broken": {func(*testing.T, *facts) {}, broken{}},
		"a job without outcome": {
			func(t *testing.T, f *facts) { f.drop(t, submitted("one", "", "m1")) }, broken{Lost: 1},
		},
		"a part without receipt": {
			func(t *testing.T, f *facts) { f.drop(t, receipt("three", 2, "m3")) }, broken{LostReceipts: 1},
		},
		"two outcomes of the same kind": {
			func(_ *testing.T, f *facts) {
				f.results = append(f.results, strings.Replace(submitted("one", "", "m1"), "one.o", "one.o2", 1))
			}, broken{TwoOutcomes: 1},
		},
		"two outcomes that contradict each other": {
			func(_ *testing.T, f *facts) {
				f.results = append(f.results, `{"id":"one.f","kind":"failed","job_id":"one","producer":"p","parts":[{"message_id":"m1"}]}`)
			}, broken{TwoOutcomes: 1, FalseClaims: 1},
		},
		"two outcomes under one id": {
			func(_ *testing.T, f *facts) {
				f.results = append(f.results, `{"id":"one.o","kind":"uncertain","job_id":"one","producer":"p","possible_duplicate":true}`)
			}, broken{Stray: 1},
		},
		"all receipts of a job and no job_state": {
			func(t *testing.T, f *facts) {
				f.replace(t, lastReceipt("three", 3, "m4"), receipt("three", 3, "m4"))
			}, broken{JobStates: 1},
		},
		"job_state twice": {
			func(t *testing.T, f *facts) {
				f.replace(t, receipt("three", 1, "m2"), lastReceipt("three", 1, "m2"))
			}, broken{JobStates: 1},
		},
		"an outcome repeated under its id is at-least-once": {
			func(_ *testing.T, f *facts) { f.results = append(f.results, f.results...) }, broken{},
		},
		"a duplicate that nobody was told of": {
			func(_ *testing.T, f *facts) {
				f.submits = append(f.submits, Submit{Job: "one", Part: 1, MessageID: "m9"}, Submit{Job: "one", Part: 1, MessageID: "m10"})
				f.results = append(f.results, receipt("one", 1, "m9"), receipt("one", 1, "m10"))
			}, broken{DupNotAllowed: 2},
		},
		"a duplicate that the result admits": {
			func(t *testing.T, f *facts) {
				f.submits = append(f.submits, Submit{Job: "three", Part: 2, MessageID: "m9"})
				f.replace(t, submitted("three", "", "m2", "m3", "m4"), submitted("three", inDoubt, "m2", "m9", "m4"))
				f.drop(t, receipt("three", 2, "m3"))
				f.results = append(f.results, receipt("three", 2, "m9"), unmatched("m3"))
			}, broken{},
		},
		"a duplicate of an at_most_once job, admitted or not": {
			func(t *testing.T, f *facts) {
				f.submits = append(f.submits, Submit{Job: "once", Part: 1, MessageID: "m9"})
				f.replace(t, submitted("once", "", "m5"), submitted("once", inDoubt, "m9"))
				f.results = append(f.results, receipt("once", 1, "m9"))
			}, broken{DupNotAllowed: 1},
		},
		"a refused attempt before the accepted one is no duplicate": {
			func(_ *testing.T, f *facts) {
				f.submits = append(f.submits, Submit{Job: "one", Part: 1, MessageID: ""})
			}, broken{},
		},
		"an uncertain job may have an unmatched receipt": {
			func(t *testing.T, f *facts) {
				f.replace(t, submitted("once", "", "m5"), `{"id":"once.u","kind":"uncertain","job_id":"once","producer":"p"}`)
				f.replace(t, lastReceipt("once", 1, "m5"), unmatched("m5"))
			}, broken{},
		},
		"an unmatched receipt of a job that was never in doubt": {
			func(t *testing.T, f *facts) { f.replace(t, lastReceipt("one", 1, "m1"), unmatched("m1")) }, broken{Orphaned: 1},
		},
		"an unmatched receipt of a message that never was": {
			func(_ *testing.T, f *facts) { f.results = append(f.results, unmatched("m99")) }, broken{Stray: 1},
		},
		"a receipt joined to the wrong job": {
			func(t *testing.T, f *facts) { f.replace(t, lastReceipt("one", 1, "m1"), receipt("once", 1, "m1")) }, broken{Stray: 1},
		},
		"a receipt joined to the wrong part": {
			func(t *testing.T, f *facts) { f.replace(t, receipt("three", 2, "m3"), receipt("three", 1, "m3")) }, broken{Stray: 1},
		},
		"a receipt under two ids": {
			func(_ *testing.T, f *facts) {
				f.results = append(f.results, strings.Replace(lastReceipt("one", 1, "m1"), "m1.r", "m1.r2", 1))
			}, broken{Stray: 1},
		},
		"a result of a job that nobody published": {
			func(_ *testing.T, f *facts) { f.results = append(f.results, submitted("ghost", "")) }, broken{Stray: 1},
		},
		"a submit of a job that nobody published": {
			func(_ *testing.T, f *facts) {
				f.submits = append(f.submits, Submit{Job: "ghost", Part: 1, MessageID: ""})
			}, broken{Stray: 1},
		},
		"submitted, though the SMSC never accepted it": {
			func(t *testing.T, f *facts) {
				f.submits = f.submits[1:]
				f.drop(t, lastReceipt("one", 1, "m1"))
			}, broken{FalseClaims: 1},
		},
		"submitted with a part missing": {
			func(t *testing.T, f *facts) {
				f.replace(t, submitted("three", "", "m2", "m3", "m4"), submitted("three", "", "m2", "m3"))
			}, broken{FalseClaims: 1},
		},
		"a refused number that is submitted": {
			func(t *testing.T, f *facts) {
				f.submits[5].MessageID = "m6"
				f.replace(t, `{"id":"no.o","kind":"failed","job_id":"no","producer":"p","code":"rejected"}`, submitted("no", "", "m6"))
				f.results = append(f.results, lastReceipt("no", 1, "m6"))
			}, broken{FalseClaims: 1},
		},
		"a refused number whose refusal died with its worker": {
			func(t *testing.T, f *facts) {
				f.replace(t, `{"id":"no.o","kind":"failed","job_id":"no","producer":"p","code":"rejected"}`,
					`{"id":"no.o","kind":"uncertain","job_id":"no","producer":"p","possible_duplicate":true}`)
			}, broken{},
		},
		"a refused number that is uncertain out of nowhere": {
			func(t *testing.T, f *facts) {
				f.replace(t, `{"id":"no.o","kind":"failed","job_id":"no","producer":"p","code":"rejected"}`,
					`{"id":"no.o","kind":"uncertain","job_id":"no","producer":"p"}`)
			}, broken{FalseClaims: 1},
		},
		"failed, though the SMSC accepted it": {
			func(t *testing.T, f *facts) {
				f.replace(t, submitted("one", "", "m1"), `{"id":"one.o","kind":"failed","job_id":"one","producer":"p","code":"unavailable"}`)
			}, broken{FalseClaims: 2},
		},
		"failed or expired, though the SMSC refuses nothing of it": {
			func(t *testing.T, f *facts) {
				f.replace(t, submitted("one", "", "m1"), `{"id":"one.o","kind":"failed","job_id":"one","producer":"p","code":"temporary","parts":[{"message_id":"m1"}]}`)
				f.replace(t, submitted("once", "", "m5"), `{"id":"once.o","kind":"expired","job_id":"once","producer":"p","code":"expired","parts":[{"message_id":"m5"}]}`)
			}, broken{FalseClaims: 2},
		},
		"failed with the accepted part named": {
			func(t *testing.T, f *facts) {
				f.submits[5].MessageID = "m6"
				f.replace(t, `{"id":"no.o","kind":"failed","job_id":"no","producer":"p","code":"rejected"}`,
					`{"id":"no.o","kind":"failed","job_id":"no","producer":"p","code":"rejected","parts":[{"message_id":"m6"}]}`)
				f.results = append(f.results, lastReceipt("no", 1, "m6"))
			}, broken{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := good()
			c.change(t, &f)
			for _, order := range []func(submits, results func()){
				func(submits, results func()) { submits(); results() },
				func(submits, results func()) { results(); submits() },
			} {
				v := f.judge(t, order)
				got := broken{v.Lost, v.LostReceipts, v.TwoOutcomes, v.DupNotAllowed, v.Orphaned, v.FalseClaims, v.Stray, v.JobStates}
				if d := cmp.Diff(c.want, got); d != "" {
					t.Errorf("verdict (-want +got):\n%s%s", d, strings.Join(v.Examples, "\n"))
				}
				if (v.Broken() > 0) != (len(v.Examples) > 0) {
					t.Errorf("%d broken promises, %d examples", v.Broken(), len(v.Examples))
				}
			}
		})
	}
}

func TestWithoutTheRecordOfTheSMSCEveryPartOfASubmittedJobNeedsItsReceipt(t *testing.T) {
	t.Parallel()
	f := good()
	f.submits = nil
	f.drop(t, lastReceipt("three", 3, "m4"))
	v := f.judge(t, func(_, results func()) { results() })
	if v.LostReceipts != 1 || v.Broken() != 1 {
		t.Errorf("%d lost receipts and %d broken promises, want 1 and 1: %v", v.LostReceipts, v.Broken(), v.Examples)
	}
}

func TestForgetfulRedisExcusesWhatOnlyItKnewAndNothingElse(t *testing.T) {
	t.Parallel()
	j := New(jobs())
	lost := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	j.Forgetful(10*time.Second, lost)
	j.Answered("m4", lost.Add(-5*time.Second))
	j.Answered("m5", lost.Add(time.Second))
	j.Answered("m10", lost.Add(-11*time.Second))
	f := good()
	f.submits = append(f.submits, Submit{Job: "one", Part: 1, MessageID: "m8"}, Submit{Job: "once", Part: 1, MessageID: "m9"}, Submit{Job: "three", Part: 1, MessageID: "m10"})
	f.replace(t, lastReceipt("one", 1, "m1"), unmatched("m1"))
	f.drop(t, lastReceipt("three", 3, "m4"))
	f.drop(t, lastReceipt("once", 1, "m5"))
	f.results = append(f.results, unmatched("m8"), unmatched("m9"))
	for _, s := range f.submits {
		j.Submit(s)
	}
	for _, r := range f.results {
		if err := j.Result([]byte(r)); err != nil {
			t.Fatal(err)
		}
	}
	v := j.Verdict()
	got := broken{v.Lost, v.LostReceipts, v.TwoOutcomes, v.DupNotAllowed, v.Orphaned, v.FalseClaims, v.Stray, v.JobStates}
	// m9 is of an at_most_once job; m5 was answered after the loss, m10 too long
	// before it; m4 may have been parked.
	if d := cmp.Diff(broken{DupNotAllowed: 1, LostReceipts: 2}, got); d != "" || v.DupAllowed != 2 || v.Forgotten != 1 {
		t.Errorf("verdict (-want +got):\n%s%d duplicates allowed, want 2; %d receipts forgotten, want 1", d, v.DupAllowed, v.Forgotten)
	}
}

func TestRecordIsReadByPartAndJob(t *testing.T) {
	t.Parallel()
	hexed := func(s string) string { return hex.EncodeToString([]byte(s)) }
	record := strings.Join([]string{
		`{"ev":"bind","bind":1}`,
		`{"ev":"submit","esm_class":0,"short_message":"` + hexed("one is your code") + `","message_id":"m1"}`,
		`{"ev":"submit","esm_class":64,"short_message":"` + hexed("\x05\x00\x03\x2a\x03\x02three terms") + `","message_id":"m3"}`,
		`{"ev":"submit","esm_class":64,"short_message":"` + hexed("\x06\x08\x04\x2a\x2b\x03\x03three terms") + `","message_id":"m4"}`,
		`{"ev":"receipt","message_id":"m1"}`,
	}, "\n") + "\n"
	j := New(jobs())
	if err := j.ReadRecord(strings.NewReader(record)); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for id, m := range j.byID {
		got[id] = fmt.Sprint(m.job, " ", m.part)
	}
	if d := cmp.Diff(map[string]string{"m1": "one 1", "m3": "three 2", "m4": "three 3"}, got); d != "" {
		t.Errorf("messages (-want +got):\n%s", d)
	}
	if err := New(jobs()).ReadRecord(strings.NewReader(record + `{"ev":"sub`)); err == nil {
		t.Error("a record that ends within a line was read without an error")
	}
}

func TestAReplicaThatTookOverExcusesWhatItMayLackAndNoMore(t *testing.T) {
	t.Parallel()
	const behind = time.Second
	killed := epoch.Add(time.Minute)
	for name, c := range map[string]struct {
		taken    time.Duration // before the kill
		orphaned int
	}{"right before": {behind / 2, 0}, "long before": {2 * behind, 1}, "after": {-behind, 1}} {
		j := New([]Job{{ID: "j1", Parts: 1}})
		j.Replaced(behind, killed)
		j.Submit(Submit{Job: "j1", Part: 1, MessageID: "m1", At: killed.Add(-c.taken)})
		for _, r := range []string{
			`{"id":"o1","kind":"submitted","job_id":"j1","producer":"p","parts":[{"message_id":"m1"}]}`,
			`{"id":"r1","kind":"receipt","producer":"_unmatched","message_id":"m1","state":"DELIVERED","final":true}`,
		} {
			if err := j.Result([]byte(r)); err != nil {
				t.Fatal(err)
			}
		}
		if v := j.Verdict(); v.Orphaned != c.orphaned {
			t.Errorf("taken in %s: %d orphaned, want %d: %q", name, v.Orphaned, c.orphaned, v.Examples)
		}
	}
}
