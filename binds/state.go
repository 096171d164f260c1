package binds

import "slices"

// State is where a bind is in its life, from a closed set.
//
//	from         to
//	stopped      connecting · standby · backoff (held back from the start)
//	standby      connecting · stopped
//	connecting   connecting (the next endpoint) · binding · backoff · standby · stopped
//	binding      bound · connecting (the configuration has changed) · backoff · refused · standby · stopped
//	bound        draining · backoff (the connection was lost) · standby (so was its slot) · stopped
//	draining     connecting (back to the preferred endpoint, or the configuration has changed) · backoff · standby · stopped
//	backoff      connecting · standby · stopped
//	refused      connecting · backoff (held back meanwhile) · standby · stopped
//
// [State.Next] answers from the same table.
type State string

// States.
const (
	StateStopped    State = "stopped"    // before and after Run
	StateStandby    State = "standby"    // waits for a slot under Deps.Slots
	StateConnecting State = "connecting" // TCP and TLS
	StateBinding    State = "binding"    // bind request sent
	StateBound      State = "bound"      // takes messages
	StateDraining   State = "draining"   // open messages end, then unbind
	StateBackoff    State = "backoff"    // pause before the next attempt
	StateRefused    State = "refused"    // long pause: the SMSC refuses the account
)

// States lists every State in the order of a bind's life.
func States() []State {
	return []State{StateStopped, StateStandby, StateConnecting, StateBinding, StateBound, StateDraining, StateBackoff, StateRefused}
}

// transitions is what may follow what.
var transitions = map[State][]State{
	StateStopped:    {StateConnecting, StateStandby, StateBackoff},
	StateStandby:    {StateConnecting, StateStopped},
	StateConnecting: {StateConnecting, StateBinding, StateBackoff, StateStandby, StateStopped},
	StateBinding:    {StateBound, StateConnecting, StateBackoff, StateRefused, StateStandby, StateStopped},
	StateBound:      {StateDraining, StateBackoff, StateStandby, StateStopped},
	StateDraining:   {StateConnecting, StateBackoff, StateStandby, StateStopped},
	StateBackoff:    {StateConnecting, StateStandby, StateStopped},
	StateRefused:    {StateConnecting, StateBackoff, StateStandby, StateStopped},
}

// Next returns the states that may follow s.
func (s State) Next() []State { return slices.Clone(transitions[s]) }
