package app

import (
	"strings"
	"testing"

	"github.com/shortwire-sms/shortwire/dispatcher"
)

func TestARouteThatStandsBySaysWhetherOthersHaveItsBindsOrRedisDoesNotSay(t *testing.T) {
	t.Parallel()
	for want, q := range map[string]*SlotStatus{
		"other workers have the 2 of 2 binds":                         {Limit: 2, Granted: 2, Workers: 3},
		"Redis does not renew it: connection refused":                 {Limit: 2, Granted: 2, Workers: 3, Error: "connection refused"},
		"it leases none for 5 s, or until all workers have said":      {Limit: 2, Workers: 3, Frozen: 4.2},
		"this worker's lease on a bind is over, and Redis does not r": {Error: "connection refused", Frozen: 4.2},
	} {
		if why, advice := explain(&Status{}, &RouteStatus{Limit: dispatcher.LimitStandby, Slots: q}); !strings.Contains(why, want) || advice == "" {
			t.Errorf("%+v: %q, %q, want %q", q, why, advice, want)
		}
	}
}
