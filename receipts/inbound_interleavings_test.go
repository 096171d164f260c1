package receipts

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// joinSweeper closes the first message of a set that waits, an hour from now.
func joinSweeper(name string, m *sms.Message) actor {
	c, _ := concatOf(m, m.ShortMessage)
	of := joinName(joinSet(c, &inboundPart{From: m.Source.Addr, To: m.Destination.Addr}), 1)
	return actor{name: name, do: func(ctx context.Context, d *Desk) bool {
		return d.sweepJoined(ctx, "acme", of, time.Now().Add(time.Hour).UnixMilli()) == nil
	}}
}

// joinRecovery is what happens after a run: the SMSC repeats the parts that
// were not answered, then everything is due.
func joinRecovery(repeats map[string]*sms.Message) func(t *testing.T, r *run) {
	return func(t *testing.T, r *run) {
		t.Helper()
		for _, s := range r.stage {
			if m := repeats[s.name]; m != nil && !s.done {
				deliver(t, r.rescue, m, statusOK)
			}
		}
		sweepJoiningAt(t, r.rescue, 24*time.Hour)
		sweepJoiningAt(t, r.rescue, 24*time.Hour)
		nothingWaits(t, r.rescue)
	}
}

// saysOneOf demands that what was published is one of the lists, and that what
// has one id is one message.
func saysOneOf(lists ...[]string) func(r *run) error {
	return func(r *run) error {
		all := r.pub.listInbound()
		bodies := make(map[string]*sms.Inbound)
		for _, in := range all {
			if before := bodies[in.ID]; before != nil {
				if diff := cmp.Diff(before, in); diff != "" {
					return fmt.Errorf("one id, two messages:\n%s", diff)
				}
			}
			bodies[in.ID] = in
		}
		got := summarise(all)
		if !slices.ContainsFunc(lists, func(want []string) bool { return slices.Equal(want, got) }) {
			return fmt.Errorf("published %q", got)
		}
		return nil
	}
}

func TestEveryOrderOfStepsAndDeathsPublishesAnInboundMessageOnce(t *testing.T) {
	t.Parallel()
	srv := start(t)
	one, two, three := udh8(7, 2, 1, 0, "one "), udh8(7, 2, 2, 0, "two"), udh8(7, 3, 3, 0, "three")
	firstOf3, secondOf3 := udh8(7, 3, 1, 0, "one "), udh8(7, 3, 2, 0, "two ")
	type repeats = map[string]*sms.Message
	whole, apart := []string{`2/2 "one two"`}, []string{`1/2 "one " without [2]`, `1/2 "two" without [1]`}
	for name, sc := range map[string]*scenario{
		"two parts on two desks": {
			actors: []actor{receiver("one", one), receiver("two", two)}, crashes: 2,
			after: joinRecovery(repeats{"one": one, "two": two}), judge: saysOneOf(whole),
		},
		"two parts and a repeat on three desks": {
			actors: []actor{receiver("one", one), receiver("two", two), receiver("again", one)}, crashes: 2,
			after: joinRecovery(repeats{"one": one, "two": two, "again": one}), judge: saysOneOf(whole),
		},
		"three parts on three desks": {
			actors: []actor{receiver("one", firstOf3), receiver("two", secondOf3), receiver("three", three)}, crashes: 2,
			after: joinRecovery(repeats{"one": firstOf3, "two": secondOf3, "three": three}),
			judge: saysOneOf([]string{`3/3 "one two three"`}),
		},
		"a late part and a sweeper": {
			before: parked(one), actors: []actor{receiver("two", two), joinSweeper("sweep", one)}, crashes: 2,
			after: joinRecovery(repeats{"two": two}), judge: saysOneOf(whole, apart),
		},
		"a late part and two sweepers": {
			before: parked(one), actors: []actor{receiver("two", two), joinSweeper("sweep", one), joinSweeper("other-sweep", one)}, crashes: 1,
			after: joinRecovery(repeats{"two": two}), judge: saysOneOf(whole, apart),
		},
		"two sweepers and nobody else": {
			before: parked(one), actors: []actor{joinSweeper("sweep", one), joinSweeper("other-sweep", one)}, crashes: 2,
			after: joinRecovery(nil), judge: saysOneOf(apart[:1]),
		},
		"a repeat of a part that timed out and a sweeper": {
			before: parked(one), actors: []actor{receiver("again", one), joinSweeper("sweep", one)}, crashes: 2,
			after: joinRecovery(repeats{"again": one}), judge: saysOneOf(apart[:1]),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			orders, runs := sc.explore(t, srv.Addr)
			t.Logf("%d orders in %d runs", orders, runs)
		})
	}
}
