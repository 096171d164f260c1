// Package interop holds binds against an SMSC that this project did not write:
// node/server.mjs, on npm's smpp package. Its tests have the build tag interop;
// make interop installs the package from its lock file and runs them.
package interop
