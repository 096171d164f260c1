package jetstream

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// Errors that callers tell apart.
var (
	ErrStreamFull = errors.New("the stream is full")
	ErrNoStream   = errors.New("no stream takes this subject")
	ErrTooLarge   = errors.New("the message is larger than the server allows")
	ErrMissing    = errors.New("streams or consumers are missing; create them with: shortwire setup --config F")
	ErrConflict   = errors.New("a stream of that name belongs to someone else")
)

// errUnanswered is a publish of which nobody knows whether it was stored.
var errUnanswered = errors.New("no acknowledgement from the server")

// errNotAck is an answer to a publish that no stream gave.
var errNotAck = errors.New("the answer is not a publish ack: something other than a stream listens there")

// Error codes of the JetStream API that nats.go has no name for
// (nats-server, server/errors.json).
const (
	errCodeInsufficientResources = 10023 // account or server limits reached
	errCodeStorageExceeded       = 10047 // the reservation does not fit the server's storage
	errCodeSubjectOverlap        = 10065
	errCodeStoreFailed           = 10077 // discard new: messages, bytes, messages per subject; or the disk
)

// refusal makes an error of a negative PubAck.
func refusal(e *natsjs.APIError) error {
	switch e.ErrorCode {
	case errCodeStoreFailed, errCodeInsufficientResources, errCodeStorageExceeded:
		return fmt.Errorf("%w: %w", ErrStreamFull, e)
	case natsjs.JSErrCodeStreamMessageExceedsMaximum:
		return fmt.Errorf("%w: %w", ErrTooLarge, e)
	}
	return e
}

// passing reports whether a publish that failed with err may succeed later.
// The server's own faults pass (5xx: no leader, storage; no responders while
// it starts); what it says of the message (4xx) does not.
func passing(err error) bool {
	if errors.Is(err, errUnanswered) || errors.Is(err, ErrNoStream) || errors.Is(err, ErrStreamFull) {
		return true
	}
	var api *natsjs.APIError
	if errors.As(err, &api) {
		return api.Code >= 500 || api.Code == 409 // 409: the first copy is being stored
	}
	return false
}

// sendFault makes an error of a failed write.
func sendFault(err error) error {
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrConnectionDraining):
		return err
	}
	return fmt.Errorf("%w: %w", errUnanswered, err)
}
