package jetstream

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher/internal/jscode"
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

// refusal makes an error of a negative PubAck.
func refusal(e *natsjs.APIError) error {
	switch {
	case jscode.Full(e):
		return fmt.Errorf("%w: %w", ErrStreamFull, e)
	case jscode.TooLarge(e):
		return fmt.Errorf("%w: %w", ErrTooLarge, e)
	}
	return e
}

// passing reports whether a publish that failed with err may succeed later.
// Nobody responds while the server starts.
func passing(err error) bool {
	if errors.Is(err, errUnanswered) || errors.Is(err, ErrNoStream) || errors.Is(err, ErrStreamFull) {
		return true
	}
	var api *natsjs.APIError
	return errors.As(err, &api) && jscode.Passing(api)
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
