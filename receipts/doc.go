// Package receipts joins delivery receipts to their jobs and remembers which
// jobs were begun.
//
// A Desk answers what comes in from an SMSC: it parses a receipt, finds the
// job by the message id, and publishes the result; a receipt that is earlier
// than its submit_sm_resp is parked in Redis until its job is known, or
// published as unmatched when nobody claims it. A Ledger is the send side: it
// gives each job to one worker at a time, records the parts that the SMSC
// accepted, and keeps outcomes, so that a job that comes again is answered and
// not sent again.
//
// Everything lives in Redis; any worker can go on where another stopped. While
// Redis is away calls wait for it.
//
// Receipts follow SMPP 3.4 Appendix B and §5.3.2.12, §5.3.2.31 and §5.3.2.35,
// read as generously as SMSCs write them.
package receipts
