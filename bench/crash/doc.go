// Package crash kills real workers at every step of the life of a job and of a
// receipt, and judges by what the SMSC saw and what stands in the results
// stream whether the crash table of the README held. It has tests only:
//
//	make crash
//
// The worker under test is built with the tag failpoints. Without that tag
// for the tests themselves, as in `make test`, a part of the table is run.
package crash
