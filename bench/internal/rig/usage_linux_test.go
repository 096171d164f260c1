package rig

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestUsageGrowsWithWork(t *testing.T) {
	t.Parallel()
	r := openRig(t)
	p, err := r.Start("busy", nil, "sh", "-c", "while :; do :; done")
	if err != nil {
		t.Fatal(err)
	}
	err = p.Ready(t.Context(), func(context.Context) error {
		u, err := p.Usage()
		if err == nil && (u.CPU < 50*time.Millisecond || u.RSS <= 0 || u.PeakRSS < u.RSS) {
			err = errors.New("nothing used yet")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestStatIsReadBehindAnyProgramName(t *testing.T) {
	t.Parallel()
	cpu, err := parseStat([]byte("42 (a ) b) S 1 42 42 0 -1 4194560 1500 0 3 0 250 50 0 0 20 0 9 0 100"))
	if err != nil || cpu != 3*time.Second {
		t.Errorf("CPU time %s, %v, want 3s", cpu, err)
	}
	for _, bad := range []string{"", "42 (x", "42 (x) S 1 2", "42 (x) S 1 42 42 0 -1 4194560 1500 0 3 0 many 50 0"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
