package sms_test

import (
	"testing"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestANumberHasOneHashHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	key := []byte("0123456789abcdef0123456789abcdef")
	// printf 447700900123 | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
	const want = "3a2532dec8fec04e"
	for _, n := range []string{"447700900123", "+447700900123", "00447700900123"} {
		if got := sms.HashNumber(key, n); got != want {
			t.Errorf("%s: %s, want %s", n, got, want)
		}
	}
	for _, c := range []struct {
		key          []byte
		number, want string
	}{
		{key, "+447700900123", "+447*******23#" + want},
		{key, "ACME", "ACME"},
		{key, "12345", "12345"},
		{nil, "447700900123", "447*******23"},
	} {
		if got := (sms.Masker{Key: c.key}).Mask(c.number); got != c.want {
			t.Errorf("%s is shown as %s, want %s", c.number, got, c.want)
		}
	}
	if a, b := sms.HashNumber(key, "447700900123"), sms.HashNumber(key[1:], "447700900123"); a == b {
		t.Error("another key makes the same hash")
	}
}
