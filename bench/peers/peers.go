package peers

import (
	"context"

	"github.com/shortwire-sms/shortwire/bench/internal/rig"
)

// Where says where a peer finds what it works with.
type Where struct {
	NATS     string // URL
	Redis    string // host:port
	SMSC     string // host:port
	SystemID string
	Password string
	Binds    int    // transceivers
	Window   int    // outstanding submit_sm per bind
	Dir      string // for configuration and logs; empty is the rig's
}

// Peer is a contender that is not ours.
type Peer struct {
	Name string
	// Needs returns what is not installed, and how to install it.
	Needs func(context.Context) error
	// Start begins its processes and waits until they are bound. The streams
	// must exist. Each process ends on SIGTERM, in the order in which they are
	// returned, with code 0. What was begun before an error ends with the rig.
	Start func(context.Context, *rig.Rig, Where) ([]*rig.Proc, error)
}

// Node is the name of the Node.js worker.
const Node = "node"

// All are the peers in the order in which tables show them.
var All = []Peer{
	{Name: Node, Needs: nodeNeeds, Start: startNode},
	{Name: "kannel", Needs: kannelNeeds, Start: startKannel},
}

// bridgeName is of processes that only join a peer to NATS.
const bridgeName = "bridge"

// Counted reports whether a process that Start returned is part of the peer
// itself. A bridge, which no user of the peer would run, is not: its CPU time is
// reported apart.
func Counted(p *rig.Proc) bool { return p.Name() != bridgeName }
