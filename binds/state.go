package binds

import "slices"

// State is where a bind is in its life, from a closed set.
//
//	from         to
//	stopped      connecting · backoff (held back from the start)
//	connecting   connecting (the next endpoint) · binding · backoff · stopped
//	binding      bound · backoff · refused · stopped
//	bound        draining · backoff (the connection was lost) · stopped
//	draining     connecting (back to the preferred endpoint) · backoff · stopped
//	backoff      connecting · stopped
//	refused      connecting · backoff (held back meanwhile) · stopped
//
// [State.Next] answers from the same table.
type State string

// States.
const (
	StateStopped    State = "stopped"    // before and after Run
	StateConnecting State = "connecting" // TCP and TLS
	StateBinding    State = "binding"    // bind request sent
	StateBound      State = "bound"      // takes messages
	StateDraining   State = "draining"   // open messages end, then unbind
	StateBackoff    State = "backoff"    // pause before the next attempt
	StateRefused    State = "refused"    // long pause: the SMSC refuses the account
)

// States lists every State in the order of a bind's life.
func States() []State {
	return []State{StateStopped, StateConnecting, StateBinding, StateBound, StateDraining, StateBackoff, StateRefused}
}

// transitions is what may follow what.
var transitions = map[State][]State{
	StateStopped:    {StateConnecting, StateBackoff},
	StateConnecting: {StateConnecting, StateBinding, StateBackoff, StateStopped},
	StateBinding:    {StateBound, StateBackoff, StateRefused, StateStopped},
	StateBound:      {StateDraining, StateBackoff, StateStopped},
	StateDraining:   {StateConnecting, StateBackoff, StateStopped},
	StateBackoff:    {StateConnecting, StateStopped},
	StateRefused:    {StateConnecting, StateBackoff, StateStopped},
}

// Next returns the states that may follow s.
func (s State) Next() []State { return slices.Clone(transitions[s]) }
