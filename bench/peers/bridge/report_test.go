package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReportBecomesAReceipt(t *testing.T) {
	t.Parallel()
	const text = "id:7 sub:001 dlvrd:000 stat:UNDELIV err:013 text:x"
	for kind, state := range map[int]string{delivered: "DELIVERED", undeliverable: "UNDELIVERABLE"} {
		got := result{JobID: "j"}
		got.receipt(kind, "7", text)
		want := result{
			ID: "j.receipt.1." + state, Kind: "receipt", JobID: "j", MessageID: "7", Part: 1, PartsTotal: 1,
			State: state, Final: true, ErrorCode: "013", Raw: text, JobState: state,
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("type %d (-want +got):\n%s", kind, d)
		}
	}
}
