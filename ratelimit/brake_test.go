package ratelimit

import (
	"testing"
	"testing/synctest"
	"time"
)

// smsc takes perSecond messages in each second and throttles the others.
type smsc struct {
	perSecond, left int
	second          time.Time
	took, throttled int
}

func (s *smsc) take(b *Brake) {
	if time.Since(s.second) >= time.Second {
		s.second, s.left = time.Now(), s.perSecond
	}
	if s.left > 0 {
		s.left--
		s.took++
		return
	}
	s.throttled++
	b.Throttled(time.Now())
}

// flood sends for d as fast as the brake lets it, at most perMilli each millisecond.
func (s *smsc) flood(b *Brake, d time.Duration, perMilli int) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for range perMilli {
			if b.Take(1) > 0 {
				break
			}
			s.take(b)
		}
	}
}

func TestABrakeFindsTheRateThatAnSMSCTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBrake(NewBucket(0, 0))
		s := &smsc{perSecond: 100}
		s.flood(b, 20*time.Second, 20) // 20,000/s into 100/s
		s.took, s.throttled = 0, 0
		s.flood(b, 100*time.Second, 20)
		if s.took < 65*100 || s.throttled*8 > s.took {
			t.Errorf("in 100 s %d were taken, want at least 6500; %d throttled, want an eighth of these at most", s.took, s.throttled)
		}
		s.perSecond = 10_000 // the SMSC has recovered
		s.flood(b, 200*time.Second, 5)
		s.took = 0
		s.flood(b, 10*time.Second, 5)
		if s.took < 10*4900 {
			t.Errorf("in 10 s %d of 50,000 were sent after the recovery", s.took)
		}
	})
}

func TestABrakeLetsAFewRefusalsPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBrake(NewBucket(0, 0))
		for range 100 { // one in a hundred, then nine alone
			for range 99 {
				b.Take(1)
			}
			b.Throttled(time.Now())
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		for range 9 {
			b.Throttled(time.Now())
		}
		if wait := b.Take(1); wait != 0 || b.Braking() {
			t.Errorf("the brake holds for %v", wait)
		}
	})
}

// refuse sends n messages and has all of them throttled.
func refuse(b *Brake, n int) {
	sent := time.Now()
	for range n {
		if b.Take(1) > 0 {
			panic("the brake holds")
		}
	}
	for range n {
		b.Throttled(sent)
	}
}

func TestABrakePausesHalvesAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBrake(NewBucket(0, 0))
		refuse(b, 100)
		if wait := b.Take(1); wait != time.Second || !b.Braking() {
			t.Fatalf("wait %v, want 1s", wait)
		}
		time.Sleep(time.Second)
		count := func(d time.Duration) (n int) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Millisecond) {
				for b.Take(1) == 0 {
					if n++; n > 1000 {
						return n
					}
				}
			}
			return n
		}
		if n := count(time.Second); n < 48 || n > 60 {
			t.Errorf("%d in the first second, want about half of 100", n)
		}
		count(8 * time.Second)
		if n := count(time.Second); n < 90 || n > 105 {
			t.Errorf("%d in the tenth second, want about 100", n)
		}
		time.Sleep(20 * time.Second)
		if n := count(time.Second); n <= 1000 {
			t.Errorf("%d in a second: the brake has not let go", n)
		}
	})
}

func TestABrakePausesLongerWhileNothingGetsThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBrake(NewBucket(0, 0))
		refuse(b, 10)
		for _, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			wait := b.Take(1)
			if wait != want*time.Second {
				t.Fatalf("pause of %v, want %ds", wait, want)
			}
			time.Sleep(wait)
			next := min(2*want, 30) * time.Second
			for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
				if wait = b.Take(1); wait == next {
					break
				}
				if time.Sleep(wait); wait == 0 {
					time.Sleep(time.Millisecond)
					b.Throttled(time.Now())
				}
			}
		}
	})
}

func TestABrakeActsOnceForWhatWasInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBrake(NewBucket(0, 0))
		sent := time.Now()
		for range 1000 {
			b.Take(1)
		}
		time.Sleep(100 * time.Millisecond)
		for range 1000 {
			b.Throttled(sent)
		}
		for range 1000 { // of an uncertain time
			b.Throttled(time.Now())
		}
		time.Sleep(time.Second)
		for range 1000 {
			b.Throttled(sent)
		}
		if wait := b.Take(1); wait != 0 {
			t.Errorf("wait %v after the one pause", wait)
		}
	})
}

func TestABrakeKeepsTheLimitBelowIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBrake(NewBucket(10, 5))
		if b.Burst() != 5 {
			t.Errorf("burst %d", b.Burst())
		}
		n := 0
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			for b.Take(1) == 0 {
				n++
			}
		}
		if n > 105 || b.Braking() {
			t.Errorf("%d in 10 s, want 105 at most; braking %t", n, b.Braking())
		}
	})
}

func BenchmarkBrakeTake(b *testing.B) {
	k := NewBrake(NewBucket(0, 0))
	b.ReportAllocs()
	for b.Loop() {
		k.Take(1)
	}
}

func BenchmarkBucketTake(b *testing.B) {
	k := NewBucket(0, 0)
	b.ReportAllocs()
	for b.Loop() {
		k.Take(1)
	}
}
