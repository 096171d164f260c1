package receipts

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// ReceiptRules are what is particular to the receipts of one route. The zero
// value reads them as most SMSCs mean them.
type ReceiptRules struct {
	// Untyped takes a text for a receipt that begins with a label and has an id
	// and a state, though neither esm_class nor a TLV says that it is one. With
	// it whoever can write to the route's numbers can forge receipts. Default false.
	Untyped bool
	States  map[string]sms.State // of stat:, in lower case, before the usual ones; message_state still wins. Default none.
	Final   []sms.State          // final states beside the specification's: ACCEPTED, UNKNOWN. Default none.
}

// IsReceipt reports whether m is a delivery receipt or an intermediate
// notification: by the message type bits of esm_class (SMPP 3.4 §5.2.12), or
// because it carries a TLV that only receipts have. SME acknowledgements are
// messages from a mobile and so are not receipts.
func IsReceipt(m *sms.Message) bool {
	switch m.ESMClass & sms.ESMClassMask {
	case sms.ESMClassReceipt, sms.ESMClassIntermed:
		return true
	}
	if _, ok := m.TLV(sms.TagReceiptedMsgID); ok {
		return true
	}
	_, ok := m.TLV(sms.TagMessageState)
	return ok
}

// IsReceipt is IsReceipt for a route.
func (r *ReceiptRules) IsReceipt(m *sms.Message) bool {
	return IsReceipt(m) || r.Untyped && readsLikeReceipt(m)
}

// readsLikeReceipt looks at the text alone.
func readsLikeReceipt(m *sms.Message) bool {
	f := scan(strings.Trim(decodeUCS2(string(userData(m))), "\x00"), true)
	return beginsLikeReceipt(&f)
}

// state is what stat: means.
func (r *ReceiptRules) state(stat string) sms.State {
	if len(r.States) > 0 {
		stat = strings.ToLower(stat)
		if s, ok := r.States[stat]; ok {
			return s
		}
		first, _, _ := strings.Cut(stat, " ") // a field that only this SMSC has may follow
		if s, ok := r.States[trimSeparators(beforeForeign(first))]; ok {
			return s
		}
	}
	return statState(stat)
}

func (r *ReceiptRules) validate() error {
	var errs []error
	for _, stat := range slices.Sorted(maps.Keys(r.States)) {
		if stat == "" || stat != strings.ToLower(stat) {
			errs = append(errs, fmt.Errorf("stat: must be in lower case and not empty, is %q", stat))
		}
		if !slices.Contains(messageStates[:], r.States[stat]) {
			errs = append(errs, fmt.Errorf("state of stat %q: is unknown: %q", stat, r.States[stat]))
		}
	}
	for _, s := range r.Final {
		if s != sms.StateAccepted && s != sms.StateUnknown {
			errs = append(errs, fmt.Errorf("final: must be ACCEPTED or UNKNOWN, is %q", s))
		}
	}
	return errors.Join(errs...)
}
