package binds

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestASessionThatMayNotSubmitTakesNothingMoreAtOnce(t *testing.T) {
	var status atomic.Uint32
	sim := smsctest.Config{OnSubmit: func(*smsctest.Submit) smsctest.Action { return smsctest.Action{Status: status.Load()} }}
	cfg := Config{Binds: 2, Status: Overrides{0x40A: ClassSession}}
	bubble(t, sim, cfg, Deps{}, func(t *testing.T, r *rig) {
		status.Store(0x40A)
		res := r.reserve(t, 1)
		left := res.session
		res.Send(t.Context(), sms.JobRef{}, parts(1, "447700900123"))
		reply, _ := res.Next(t.Context())
		res.Next(t.Context())
		if diff := cmp.Diff(sms.CodeTemporary, code(reply.Err)); diff != "" {
			t.Errorf("code (-want +got):\n%s", diff)
		}
		status.Store(smsctest.ROK)
		if r.Bound() != 1 {
			t.Errorf("%d binds take messages, want the other one", r.Bound())
		}
		other := r.reserve(t, 1)
		if other.session == left {
			t.Error("the next message goes to the session that refused")
		}
		other.Release()
		time.Sleep(time.Minute)
		synctest.Wait()
		if r.Bound() != 2 {
			t.Errorf("%d binds take messages after a minute, want 2", r.Bound())
		}
	})
}

func TestARefusedSessionIsWithdrawnBeforeItsReplyIsGiven(t *testing.T) {
	t.Parallel()
	b := &bind{fatal: make(chan sessionFault, 1)}
	refused, next := new(smpp.Session), new(smpp.Session)
	b.session.Store(refused)
	b.sessionRefused(refused, nil)
	if b.session.Load() != nil {
		t.Error("the session that refused still takes messages")
	}
	b.session.Store(next)
	b.sessionRefused(refused, nil) // another reply of the old one
	if b.session.Load() != next {
		t.Error("the session after it is withdrawn too")
	}
}

func TestARefusalOfASessionIsHeardThoughOneOfTheLastIsUnread(t *testing.T) {
	bubble(t, smsctest.Config{}, Config{}, Deps{}, func(t *testing.T, r *rig) {
		b := r.members().binds[0]
		old := b.session.Load()
		refused := false
		r.Notify(func() { // before the new session's end is waited for
			if s := b.session.Load(); s != nil && s != old && !refused {
				refused = true
				b.sessionRefused(s, Overrides(nil).Error("submit_sm", smpp.StatusOK+4))
			}
		})
		b.sessionRefused(old, Overrides(nil).Error("submit_sm", 4))
		b.fatal <- sessionFault{old, nil} // another message of the old one
		for range 5 {
			time.Sleep(30 * time.Second)
			synctest.Wait()
		}
		if !refused || r.Bound() != 1 {
			t.Errorf("refused %t, %d binds take messages: %+v", refused, r.Bound(), r.Snapshot()[0])
		}
	})
}
