package judge

import (
	"bytes"
	"fmt"
	"strconv"
)

// Slices judges jobs without number: they are judged some thousand at a time,
// and a slice that has everything is forgotten, so that memory depends on how
// many are open at once and not on how many there were. The ids of its jobs
// end in a hyphen and their number, from 0 on. What comes for a slice that has
// had everything is stray: repeats too, which a Judge would excuse.
type Slices struct {
	job  func(i int) Job
	jobs int
	size int
	open map[int]*slice
	done map[int]struct{}
	sum  Verdict
}

type slice struct {
	*Judge
	due int // different results that it waits for
}

// NewSlices makes a judge for so many jobs, size of them in a slice.
func NewSlices(jobs, size int, job func(i int) Job) *Slices {
	return &Slices{job: job, jobs: jobs, size: size, open: map[int]*slice{}, done: map[int]struct{}{}, sum: Verdict{Outcomes: map[string]int{}}}
}

// Result adds one message of the results stream. The error is about JSON.
func (s *Slices) Result(data []byte) error {
	i, ok := number(data)
	k := i / s.size
	if _, closed := s.done[k]; !ok || i >= s.jobs || closed {
		s.sum.broke(&s.sum.Stray, "result %.200s", data)
		return nil
	}
	if s.open[k] == nil {
		s.open[k] = s.begin(k)
	}
	if err := s.open[k].Result(data); err != nil {
		return err
	}
	if len(s.open[k].resultID) == s.open[k].due {
		if v := s.open[k].Verdict(); v.Broken() == 0 { // else it has too much, and its due is yet to come
			s.close(k, v)
		}
	}
	return nil
}

func (s *Slices) begin(k int) *slice {
	var jobs []Job
	due := 0
	for i := k * s.size; i < min(s.jobs, (k+1)*s.size); i++ {
		job := s.job(i)
		jobs = append(jobs, job)
		due += 1 + job.Parts
	}
	return &slice{Judge: New(jobs), due: due}
}

func (s *Slices) close(k int, v *Verdict) {
	s.sum.add(v)
	delete(s.open, k)
	s.done[k] = struct{}{}
}

// Verdict judges what was added. It may be called once.
func (s *Slices) Verdict() *Verdict {
	for k := 0; k*s.size < s.jobs; k++ {
		if _, closed := s.done[k]; closed {
			continue
		}
		if s.open[k] == nil {
			s.open[k] = s.begin(k)
		}
		s.close(k, s.open[k].Verdict())
	}
	return &s.sum
}

// add adds the counts of another verdict.
func (v *Verdict) add(o *Verdict) {
	for kind, n := range o.Outcomes {
		v.Outcomes[kind] += n
	}
	for _, c := range []struct {
		to   *int
		more int
	}{
		{&v.Jobs, o.Jobs}, {&v.Submits, o.Submits}, {&v.Accepted, o.Accepted}, {&v.Receipts, o.Receipts}, {&v.Unmatched, o.Unmatched},
		{&v.Repeats, o.Repeats}, {&v.DupAllowed, o.DupAllowed}, {&v.Forgotten, o.Forgotten}, {&v.InDoubt, o.InDoubt},
		{&v.Lost, o.Lost}, {&v.LostReceipts, o.LostReceipts}, {&v.TwoOutcomes, o.TwoOutcomes}, {&v.DupNotAllowed, o.DupNotAllowed},
		{&v.Orphaned, o.Orphaned}, {&v.FalseClaims, o.FalseClaims}, {&v.JobStates, o.JobStates}, {&v.Stray, o.Stray},
	} {
		*c.to += c.more
	}
	v.Examples = append(v.Examples, o.Examples[:min(len(o.Examples), max(0, 4*maxExamples-len(v.Examples)))]...)
}

// number finds the number of the job that a result names.
func number(data []byte) (int, bool) {
	_, rest, ok := bytes.Cut(data, []byte(`"job_id":"`))
	id, _, ended := bytes.Cut(rest, []byte(`"`))
	if !ok || !ended {
		return 0, false
	}
	n, err := JobNumber(id)
	return n, err == nil
}

// JobNumber reads the number at the end of a job's id.
func JobNumber(id []byte) (int, error) {
	n, err := strconv.Atoi(string(id[bytes.LastIndexByte(id, '-')+1:]))
	if err != nil {
		return 0, fmt.Errorf("job %q has no number", id)
	}
	return n, nil
}
