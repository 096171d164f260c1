package sms

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"time"
)

// OutcomeID is the id of a job's outcome. It is the same for every terminal
// kind, so that of two outcomes of one job the second is dropped as a repeat.
func OutcomeID(producer, jobID string) string { return "o." + producer + "." + jobID }

// ReplayID is the id of the outcome of a job's n-th replay: another than that
// of the failure before it. Replay 0 is the job as it first came. No job id
// has a blank in it.
func ReplayID(producer, jobID string, replay int) string {
	id := OutcomeID(producer, jobID)
	if replay == 0 {
		return id
	}
	return id + " replay " + strconv.Itoa(replay)
}

// ReceiptID is the id of a receipt: the same when the SMSC repeats it, another
// when anything that tells receipts apart differs. messageID is the id as
// received; done may be nil. It is a hash, so that no number that an SMSC puts
// into its ids leaks.
func ReceiptID(route, messageID string, state State, errorCode string, done *time.Time) string {
	b := make([]byte, 0, 128)
	for _, s := range [...]string{route, messageID, string(state), errorCode} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	if done != nil {
		b = binary.BigEndian.AppendUint64(b, uint64(done.Unix()))
	}
	sum := sha256.Sum256(b)
	id := append(make([]byte, 0, 24), "r."...)
	return string(base64.RawURLEncoding.AppendEncode(id, sum[:16]))
}
