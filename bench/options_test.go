package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/bench/peers"
)

func TestWrongFlagsAreRefusedByTheirName(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--jobs 0":                           "--jobs must be at least 1, is 0",
		"--rounds 0":                         "--rounds must be at least 1, is 0",
		"--binds 0":                          "--binds must be at least 1, is 0",
		"--window 10001":                     "--window must be 1..10000, is 10001",
		"--procs -1":                         "--procs must not be negative, is -1",
		"--max -1":                           "--max must not be negative, is -1",
		"--long 1ms":                         "--long must be at least 1s, is 1ms",
		"--growth-max 5000001":               "--growth-max must be 1..5000000, is 5000001",
		"--stall 0":                          "--stall must be at least 1s, is 0s",
		"--only nobody":                      `--only must be worker or floor, is "nobody"`,
		"--only floor --phases open":         "the phase open measures the worker",
		"--only worker --peers":              "--only and --peers exclude each other",
		"--peers --phases open":              "--peers needs the phase drain",
		"--phases drain,nothing":             `there is no "nothing", only drain,open,`,
		"--phases drain,drain":               `"drain" twice`,
		"--phases drain --all":               "--all and --phases exclude each other",
		"--render no/such/results.json":      "--render: stat no/such/results.json",
		"more":                               `unexpected argument "more"`,
		"--phases nothing --jobs 0 --max=-2": "--jobs must be at least 1",
	} {
		_, err := parse(strings.Fields(args))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

func TestFlagsSayWhatIsMeasured(t *testing.T) {
	t.Parallel()
	for args, want := range map[string][]string{
		"":                            {drainName},
		"--all":                       phaseNames(),
		"--phases open,burst":         {openName, burstName},
		"--quick":                     phaseNames(),
		"--quick --phases drain":      {drainName},
		"--quick --only floor":        {drainName},
		"--phases storm --only floor": {stormName},
		"--all --peers --long 20m":    phaseNames(),
	} {
		o, err := parse(strings.Fields(args))
		if d := cmp.Diff(want, o.phases); err != nil || d != "" {
			t.Errorf("%q: %v (-want +got):\n%s", args, err, d)
		}
	}
	o, err := parse([]string{"--quick"})
	if err != nil || o.jobs != 3000 || o.rounds != 1 || !o.quick {
		t.Errorf("--quick gives %+v, %v", o, err)
	}
}

func TestBacklogsGrowToTheLargest(t *testing.T) {
	t.Parallel()
	for most, want := range map[int][]int{
		5_000_000: {10_000, 100_000, 1_000_000, 5_000_000},
		1_000_000: {10_000, 100_000, 1_000_000},
		300_000:   {10_000, 100_000, 300_000},
	} {
		o := options{size: full, growthMax: most}
		if d := cmp.Diff(want, o.backlogs()); d != "" {
			t.Errorf("up to %d (-want +got):\n%s", most, d)
		}
	}
}

// Labels join rounds, and settings with what they are compared with.
func TestSettingsAreLabelledApartAndComparedWithOneOfTheirs(t *testing.T) {
	t.Parallel()
	for _, size := range []size{full, small} {
		b := &bench{max: 10_000, peers: []peers.Peer{{Name: "node"}}, o: options{jobs: 100, binds: 4, window: 1000, growthMax: 1_000_000, long: 1e9, size: size}}
		for _, p := range phases() {
			var labels []string
			all := p.settings(b)
			for _, s := range all {
				labels = append(labels, s.label)
				switch {
				case s.jobs < 1 || s.routes < 1 || s.workers < 1 || s.parts < 1 || s.window < 1:
					t.Errorf("%s: %+v", p.name, s)
				case s.binds%(s.routes*s.workers) != 0:
					t.Errorf("%s, %s: %d binds cannot be spread", p.name, s.label, s.binds)
				case s.rate > 0 && s.workers*s.routes > 1 && p.name == drainName:
					t.Errorf("%s, %s", p.name, s.label)
				}
			}
			slices.Sort(labels)
			if len(slices.Compact(slices.Clone(labels))) != len(labels) {
				t.Errorf("%s: labels %q are not all different", p.name, labels)
			}
			for _, s := range all {
				if s.against != "" && !slices.Contains(labels, s.against) && !size.quick {
					t.Errorf("%s: %s is compared with %q, which is not measured", p.name, s.label, s.against)
				}
			}
			if viewOf(p.name).about == "" {
				t.Errorf("nothing says what %s is", p.name)
			}
		}
	}
}
