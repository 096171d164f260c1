package binds

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/binds/smpp"
	"github.com/shortwire-sms/shortwire/binds/smsctest"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// congestionListener is a limiter that notes what it hears; the reader of one
// session tells it.
type congestionListener struct{ states []uint8 }

func (*congestionListener) Take(int) time.Duration   { return 0 }
func (*congestionListener) Return(int)               {}
func (l *congestionListener) Congestion(state uint8) { l.states = append(l.states, state) }

func TestABindOf33SendsNoTLVs(t *testing.T) {
	for version, want := range map[uint8]int{smpp.Version33: 0, smpp.Version34: 1, smpp.Version50: 1} {
		t.Run(versionName(version), func(t *testing.T) {
			bubble(t, smsctest.Config{}, Config{InterfaceVersion: version}, Deps{}, func(t *testing.T, r *rig) {
				msgs := parts(2, "447700900123")
				msgs[0].TLVs = []sms.TLV{{Tag: 0x1400, Value: []byte{1}}}
				msgs[1].ShortMessage = make([]byte, 300) // only as message_payload
				got := map[int]sms.Code{}
				for reply := range exchange(t.Context(), r.reserve(t, 2), sms.JobRef{}, msgs) {
					got[reply.Part] = code(reply.Err)
				}
				long := sms.Code("")
				if version == smpp.Version33 {
					long = sms.CodeInvalid
				}
				if diff := cmp.Diff(map[int]sms.Code{1: "", 2: long}, got); diff != "" {
					t.Errorf("codes (-want +got):\n%s", diff)
				}
				if n := len(r.smsc.Submits()[0].TLVs); n != want {
					t.Errorf("%d TLVs on the wire, want %d", n, want)
				}
				if len(msgs[0].TLVs) != 1 {
					t.Error("the message itself was altered")
				}
				if v := r.smsc.Binds()[0].InterfaceVersion; v != version {
					t.Errorf("bound as %#x, want %#x", v, version)
				}
			})
		})
	}
}

func TestABindOf33RefusesUserDataInTLVs(t *testing.T) {
	bubble(t, smsctest.Config{}, Config{InterfaceVersion: smpp.Version33}, Deps{}, func(t *testing.T, r *rig) {
		msgs := parts(2, "447700900123")
		msgs[0].ShortMessage, msgs[0].TLVs = nil, []sms.TLV{{Tag: sms.TagMessagePayload, Value: []byte("a job's own")}}
		msgs[1].TLVs = []sms.TLV{{Tag: sms.TagSarMsgRefNum, Value: []byte{0, 1}}}
		var got []sms.Reply
		for reply := range exchange(t.Context(), r.reserve(t, 2), sms.JobRef{}, msgs) {
			got = append(got, reply)
		}
		if diff := cmp.Diff([]sms.Code{sms.CodeInvalid, sms.CodeInvalid}, codes(got)); diff != "" {
			t.Errorf("codes (-want +got):\n%s", diff)
		}
	})
}

func versionName(v uint8) string {
	return map[uint8]string{smpp.Version33: "3.3", smpp.Version34: "3.4", smpp.Version50: "5.0"}[v]
}

func TestCongestionOfTheSMSCReachesTheLimiter(t *testing.T) {
	tlv := func(value ...byte) []byte {
		return smsctest.AppendTLV(smsctest.AppendCString(nil, "6E84FC04"), 0x0428, value)
	}
	for version, want := range map[uint8][]uint8{smpp.Version34: nil, smpp.Version50: {85, 100}} {
		t.Run(versionName(version), func(t *testing.T) {
			bodies := [][]byte{tlv(85), tlv(), tlv(101), tlv(1, 2), smsctest.AppendCString(nil, "x"), {}, tlv(100)}
			sim := smsctest.Config{
				OnSubmit: func(*smsctest.Submit) smsctest.Action {
					b := bodies[0]
					bodies = bodies[1:]
					return smsctest.Action{Body: b}
				},
				Quirks: smsctest.Quirks{BindBody: smsctest.AppendTLV(smsctest.AppendCString(nil, "s"), smsctest.TagSCInterfaceVersion, []byte{version})},
			}
			heard := &congestionListener{}
			deps := Deps{Limiter: func(string) Limiter { return heard }}
			bubble(t, sim, Config{InterfaceVersion: version}, deps, func(t *testing.T, r *rig) {
				for range len(bodies) {
					if got := codes(r.send(t, 1)); got[0] != "" {
						t.Errorf("a response with an odd congestion_state ends with %v", got)
					}
				}
				synctest.Wait()
				if diff := cmp.Diff(want, heard.states); diff != "" {
					t.Errorf("heard (-want +got):\n%s", diff)
				}
				last := -1
				if len(want) > 0 {
					last = 100
				}
				if st := r.Snapshot()[0]; st.Congestion != last || st.InterfaceVersion != version {
					t.Errorf("status: congestion %d, version %#x", st.Congestion, st.InterfaceVersion)
				}
			})
		})
	}
}
