// Package smpp speaks SMPP 3.4 as an ESME over one connection: framing, the
// session with its window, and the wire form of the PDUs that a session needs.
//
// gosmpp's pdu and data packages give the constants and the bind requests. What
// they lose (header-only error responses, message ids without a NUL, order and
// repeats of TLVs, unknown data_coding) and what is hot (submit_sm and its
// response) is written here by hand, behind codec.go and decode.go.
//
// A session has three loops, all owned by [Session.Run]: the reader, which
// never waits for a handler or for the peer; the writer, the only one that
// writes; and the housekeeper, which owns every timer. Submitters marshal
// straight into the session's out-buffer under its lock, after registering
// the call, so that no response can come too early.
//
// Specification: "Short Message Peer to Peer Protocol Specification v3.4",
// 12-Oct-1999 Issue 1.2. Clauses below refer to it.
package smpp
