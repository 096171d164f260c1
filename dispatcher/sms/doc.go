// Package sms is Shortwire's contract: the jobs that producers publish, the
// results that consumers read, their subjects, schemas and error codes, and
// the few types that cross between the packages that handle them.
//
// It imports the standard library only.
package sms
