package main

import (
	"os"
	"testing"
)

func TestStolenIsAShareOfAllThatTheProcessorsDid(t *testing.T) {
	t.Parallel()
	before := ticks{stolen: 10, all: 1000}
	if got := (ticks{stolen: 35, all: 1100}).since(before); got != 0.25 {
		t.Errorf("share %v, want 0.25", got)
	}
	if got := before.since(before); got != 0 {
		t.Errorf("share %v of nothing, want 0", got)
	}
	if _, err := os.Stat("/proc/stat"); err != nil {
		t.Skipf("needs /proc/stat: %v", err)
	}
	if now := machineTicks(); now.all == 0 || now.stolen > now.all {
		t.Errorf("this machine's: %+v", now)
	}
}
