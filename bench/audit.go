package main

import (
	"context"
	"time"

	"github.com/shortwire-sms/shortwire/bench/internal/judge"
	"github.com/shortwire-sms/shortwire/bench/internal/load"
)

// auditSlice is how many jobs are judged together.
const auditSlice = 20_000

// toldEvery is after how many results a waiting person hears of the judging.
const toldEvery = 1_000_000

// audit reads the whole results stream and asks the simulator what it saw.
func (s *stage) audit(ctx context.Context, res *round) error {
	stats, err := s.smsc.Stats(ctx)
	if err != nil {
		return err
	}
	if _, err := s.smsc.Terminate(ctx); err != nil { // its times are complete then
		return err
	}
	if s.set.times {
		if err := res.times.read(s.times); err != nil {
			return err
		}
	}
	j := judge.NewSlices(s.set.jobs, auditSlice, func(i int) judge.Job { return judge.Job{ID: s.set.job(i).ID, Parts: s.set.parts} })
	read := 0
	_, err = load.ReadStored(ctx, s.js, 1, func(data []byte, stored time.Time) error {
		if read++; read%toldEvery == 0 {
			progress("  %s results judged", thousands(read))
		}
		if s.set.times {
			res.times.result(data, stored)
		}
		return j.Result(data)
	})
	if err != nil {
		return err
	}
	if s.set.times {
		warm := time.Duration(0)
		if s.set.rate*float64(warmUp/time.Second) > float64(s.o.lone) && !s.o.quick {
			warm = warmUp
		}
		res.times.enter(res, warm)
	}
	res.judge(j.Verdict(), int(stats.Submits), int(stats.Unique))
	res.Keys = s.keys
	if res.Lost+res.Duplicates > 0 {
		s.rig.Keep()
		progress("  logs kept in %s", s.rig.Dir())
	}
	return nil
}

// judge enters what is lost and what came twice.
func (r *round) judge(v *judge.Verdict, submits, unique int) {
	for _, e := range v.Examples {
		progress("  broken: %s", e)
	}
	r.Lost = v.Lost + v.LostReceipts
	for kind, n := range v.Outcomes {
		if kind != "submitted" { // nothing here gives a reason for it
			progress("  broken: %d jobs are %s", n, kind)
			r.Lost += n
		}
	}
	r.Duplicates = submits - unique + v.TwoOutcomes + v.Stray
}
