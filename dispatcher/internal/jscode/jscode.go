// Package jscode reads the error codes of the JetStream API (nats-server,
// server/errors.json), for the worker and for producers alike.
package jscode

import "github.com/nats-io/nats.go/jetstream"

// Codes that nats.go has no name for.
const (
	InsufficientResources jetstream.ErrorCode = 10023 // account or server limits reached
	StorageExceeded       jetstream.ErrorCode = 10047 // the reservation does not fit the server's storage
	SubjectOverlap        jetstream.ErrorCode = 10065
	StoreFailed           jetstream.ErrorCode = 10077 // discard new: messages, bytes, messages per subject; or the disk
)

// Full reports whether a publish was refused because a stream is full, in
// whichever way; nothing was stored.
func Full(e *jetstream.APIError) bool {
	switch e.ErrorCode {
	case StoreFailed, InsufficientResources, StorageExceeded:
		return true
	}
	return false
}

// TooLarge reports whether the message was above what the stream takes.
func TooLarge(e *jetstream.APIError) bool {
	return e.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum
}

// Passing reports whether the same publish may succeed in a moment. The
// server's own faults pass (5xx: no leader, storage), and so does 409: the first
// copy is being stored. What it says of the message (4xx) does not.
func Passing(e *jetstream.APIError) bool { return e.Code >= 500 || e.Code == 409 }
