// Package binds keeps the SMPP binds of a route alive and sends through them.
//
// A [Pool] owns a route's binds. Each bind is supervised: it connects, binds,
// serves its session until that ends, and pauses before the next attempt for
// as long as the reason asks for. What can be sent is asked for with
// [Pool.TryReserve] and sent with [Reservation.Send]; both are a few atomic
// operations and one small lock away from the wire.
//
// status.go is the one table of command_status, and the one place that turns a
// status into a code.
package binds
