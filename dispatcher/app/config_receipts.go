package app

import (
	"maps"
	"slices"
	"strings"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/receipts"
)

// ReceiptsConfig is what is particular to the SMSC's receipts.
type ReceiptsConfig struct {
	Untyped bool        `yaml:"untyped"` // a text that begins like a receipt and has an id and a state is one, whatever esm_class says; others can then forge receipts by SMS. Default false
	Stat    StatConfig  `yaml:"stat"`    // states of stat: values, before the usual ones and after the TLV message_state. Default none
	Final   []sms.State `yaml:"final"`   // states that end a message beside the usual: ACCEPTED, UNKNOWN. Default none
}

// StatConfig is what stands after stat:, in any case, to a state.
type StatConfig map[string]sms.State

// states are what a stat: value can mean.
var states = []sms.State{
	sms.StateScheduled, sms.StateEnroute, sms.StateDelivered, sms.StateExpired, sms.StateDeleted, sms.StateUndeliverable,
	sms.StateAccepted, sms.StateUnknown, sms.StateRejected, sms.StateSkipped,
}

func (c *checker) receipts(path string, r *RouteConfig) {
	rules := []string{MessageIDAsIs, MessageIDHex, MessageIDDecimal, MessageIDAuto}
	oneOf(c, path+".message_id.submit", r.MessageID.Submit, rules...)
	oneOf(c, path+".message_id.receipt", r.MessageID.Receipt, rules...)
	if (r.MessageID.Submit == MessageIDAuto) != (r.MessageID.Receipt == MessageIDAuto) {
		c.wrong(path+".message_id", "must be auto for both submit and receipt, or for neither")
	}
	seen := make(map[string]bool)
	for _, stat := range slices.Sorted(maps.Keys(r.Receipts.Stat)) {
		at := path + ".receipts.stat." + stat
		oneOf(c, at, r.Receipts.Stat[stat], states...)
		if folded := strings.ToLower(stat); seen[folded] {
			c.wrong(at, "stands here for the second time; case does not tell them apart")
		} else {
			seen[folded] = true
		}
	}
	for _, s := range r.Receipts.Final {
		oneOf(c, path+".receipts.final", s, sms.StateAccepted, sms.StateUnknown)
	}
}

// rules is the desk's view of all this.
func (c *ReceiptsConfig) rules() receipts.ReceiptRules {
	r := receipts.ReceiptRules{Untyped: c.Untyped, Final: c.Final}
	if len(c.Stat) > 0 {
		r.States = make(map[string]sms.State, len(c.Stat))
		for stat, state := range c.Stat {
			r.States[strings.ToLower(stat)] = state
		}
	}
	return r
}
