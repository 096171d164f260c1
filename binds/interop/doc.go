// Package interop holds binds against an SMSC that this project did not write:
// node/server.mjs, on npm's smpp package. Its tests have the build tag interop;
// make interop installs the package from its lock file and runs them.
//
// The server records every PDU, and what it made of each message, before it
// answers. The tests compare that record with what was sent, and hold the
// dialogue to the protocol. A server that was killed goes on from its record.
package interop
