package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shortwire-sms/shortwire/dispatcher/internal/jscode"
)

// Errors that callers tell apart. A job that is wrong in itself is an
// *sms.Error with sms.CodeInvalid instead.
var (
	// ErrFull is the server's push back: the producer's share of the lane, or
	// the stream, is full. Nothing was stored; try again later.
	ErrFull = errors.New("the stream is full; try again when the workers have caught up")
	// ErrNoRoute says that no stream takes the job: the route is not set up, or
	// the producer may not publish there. Nothing was stored.
	ErrNoRoute = errors.New("no stream takes this subject; is the route configured and set up (shortwire setup --config F)?")
	// ErrDenied says that the server does not let this producer publish there.
	ErrDenied = errors.New("NATS does not let this user publish there; see deploy/nats for what a producer needs")
	// ErrTooLarge is a job above what the server takes. Nothing was stored.
	ErrTooLarge = errors.New("the job is larger than the server allows")
)

var (
	// ErrUnanswered says that nobody knows whether the job was stored. Send it
	// again under the same id, whenever that is: it is taken once.
	ErrUnanswered = errors.New("no acknowledgement from the server; the job may be stored or not")
	// ErrNoOutcome says that ctx ended before the job had an outcome. It has one
	// all the same, later: every stored job does.
	ErrNoOutcome = errors.New("no outcome yet; the job stays with the workers")
)

// fault says which of the errors err is. mend is whether the same publish may
// succeed at once.
func fault(err error) (_ error, mend bool) {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return ErrNoRoute, false
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: %w", ErrTooLarge, err), false
	case errors.As(err, &api) && jscode.Full(api):
		return fmt.Errorf("%w: %w", ErrFull, err), false
	case errors.As(err, &api) && jscode.TooLarge(api):
		return fmt.Errorf("%w: %w", ErrTooLarge, err), false
	case errors.As(err, &api):
		return err, jscode.Passing(api)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout), errors.Is(err, nats.ErrReconnectBufExceeded):
		return fmt.Errorf("%w: %w", ErrUnanswered, err), true
	}
	return err, false
}

// denied reports whether the server has refused publishes to the subject. It
// says so on the connection, not to who publishes, who hears nothing.
func (p *Publisher) denied(subject string) bool {
	err := p.js.Conn().LastError()
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), `"`+subject+`"`)
}
