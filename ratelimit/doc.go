// Package ratelimit keeps a route within the submit_sm rate that its SMSC
// account allows.
//
// Tokens are PDUs: a job of three parts takes three.
package ratelimit
