package dispatcher

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStrainCountsWhereMoreOfItWouldHelp(t *testing.T) {
	t.Parallel()
	const same = Limit("")
	redisAway, slowRedis := Strain{LimitRedis, true}, Strain{LimitRedis, false}
	natsAway, cpu := Strain{LimitNATS, true}, Strain{LimitCPU, false}
	for _, test := range []struct {
		of                              Limit
		redisAway, slowRedis, nats, cpu Limit
	}{
		{LimitNone, LimitRedis, LimitRedis, LimitNATS, LimitCPU},
		{LimitRate, LimitRedis, same, same, same},
		{LimitThrottled, LimitRedis, same, same, same},
		{LimitWindow, LimitRedis, LimitRedis, LimitNATS, LimitCPU},
		{LimitRedis, same, same, same, same},
		{LimitNoBind, same, same, same, same},
		{LimitStandby, same, same, same, same},
		{LimitAccount, same, same, same, same},
		{LimitPaused, same, same, same, same},
	} {
		for s, want := range map[Strain]Limit{{}: same, redisAway: test.redisAway, slowRedis: test.slowRedis, natsAway: test.nats, cpu: test.cpu} {
			if want == same {
				want = test.of
			}
			if diff := cmp.Diff(want, s.over(test.of)); diff != "" {
				t.Errorf("%+v over %s: %s", s, test.of, diff)
			}
		}
	}
}

func TestStrainIsForgottenWhenItEnds(t *testing.T) {
	t.Parallel()
	d := &Dispatcher{turnstile: newTurnstile(nil, nil, nil)}
	for _, want := range []Limit{LimitCPU, LimitNone} {
		s := Strain{Limit: want}
		if want == LimitNone {
			s = Strain{}
		}
		d.Strain(s)
		if got, _ := d.turnstile.limits(); got != want {
			t.Errorf("limit %s, want %s", got, want)
		}
	}
}
