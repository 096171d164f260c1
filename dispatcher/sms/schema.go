package sms

import "embed"

// Schemas holds the JSON Schemas (draft 2020-12) of the contract:
// schema/job.schema.json, schema/result.schema.json and
// schema/inbound.schema.json.
//
// A schema cannot say everything that DecodeJob checks: repeated fields, the
// size of the payload and of meta, the length octet of udh and the range of
// validity.
//
//go:embed schema/*.json
var Schemas embed.FS
