package ratelimit

import (
	"testing"
	"time"
)

// BenchmarkFleetTake takes from one long lease.
func BenchmarkFleetTake(b *testing.B) {
	f := NewFleet(FleetConfig{Route: "acme", Limits: Limits{Rate: 1e9, Burst: 1e9}}, nil)
	f.tenant.purse.add(time.Now().Add(-time.Second), 1<<40, 1e9, 1e9)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			f.Take(1)
		}
	})
}

func BenchmarkFleetTakeUnlimited(b *testing.B) {
	f := NewFleet(FleetConfig{Route: "acme"}, nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			f.Take(1)
			f.Accepted(time.Now())
		}
	})
}
