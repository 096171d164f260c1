package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestASendIsOverWhenOutcomeAndFinalReceiptsAreThereInAnyOrder(t *testing.T) {
	t.Parallel()
	submitted := func(parts int) *sms.Result {
		return &sms.Result{Kind: sms.KindSubmitted, Parts: make([]sms.Part, parts)}
	}
	receipt := func(part int, state sms.State) *sms.Result {
		return &sms.Result{Kind: sms.KindReceipt, Receipt: &sms.Receipt{Part: part, State: state, Final: state.Final()}}
	}
	cases := []struct {
		name     string
		receipts bool
		results  []*sms.Result
		done     bool
		want     string
	}{
		{"nothing yet", true, nil, false, "no outcome yet; the job stays with the workers"},
		{"submitted, no receipts asked for", false, []*sms.Result{submitted(1)}, true, ""},
		{"submitted, receipts outstanding", true, []*sms.Result{submitted(2), receipt(1, sms.StateDelivered)}, false,
			"1 of 2 final receipts so far; more may come, see shortwire tail"},
		{"receipts before the outcome", true, []*sms.Result{receipt(2, sms.StateDelivered), receipt(1, sms.StateDelivered), submitted(2)}, true, ""},
		{"the same receipt twice", true, []*sms.Result{submitted(2), receipt(1, sms.StateDelivered), receipt(1, sms.StateDelivered)}, false,
			"1 of 2 final receipts so far; more may come, see shortwire tail"},
		{"intermediate states do not count", true, []*sms.Result{submitted(1), receipt(1, sms.StateEnroute)}, false,
			"0 of 1 final receipts so far; more may come, see shortwire tail"},
		{"a part that was not delivered", true, []*sms.Result{submitted(1), receipt(0, sms.StateExpired)}, true, "part 1 ended as EXPIRED"},
		{"failed", true, []*sms.Result{{Kind: sms.KindFailed}}, true, "the job ended as failed"},
		{"uncertain", true, []*sms.Result{{Kind: sms.KindUncertain}}, true, "the job ended as uncertain"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := &progress{receipts: c.receipts}
			for _, r := range c.results {
				p.add(r)
			}
			got := ""
			if err := p.verdict(); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff([]any{c.done, c.want}, []any{p.done(), got}); diff != "" {
				t.Error(diff)
			}
		})
	}
}
