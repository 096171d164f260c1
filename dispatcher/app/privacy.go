package app

import (
	"errors"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// masker makes numbers fit for logs, status and traces.
func (c *Config) masker() sms.Masker { return sms.Masker{Key: []byte(c.Privacy.HashKey)} }

// NumberHash is what logs and traces call a number.
type NumberHash struct {
	Route string // that writes the number in a form of its own; empty: all others
	Hash  string
}

// HashNumber tells what logs and traces call a number: in PDUs of a route that
// writes numbers nationally it has another hash.
func HashNumber(cfg *Config, number string) ([]NumberHash, error) {
	key := []byte(cfg.Privacy.HashKey)
	if len(key) == 0 {
		return nil, Faults{{File: "configuration", Path: "privacy", Message: "has no key: set hash_key_env or hash_key_file, the same for all workers"}}
	}
	job := sms.Job{ID: "x", To: number, Text: new("x")}
	if err := job.Validate(); err != nil {
		return nil, &sms.Error{Op: "hash number", Code: sms.CodeInvalid, Err: errors.New("must be digits with an optional leading +, at most 20")}
	}
	all := []NumberHash{{Hash: sms.HashNumber(key, number)}}
	for i := range cfg.Routes {
		r := &cfg.Routes[i]
		rules := r.messageRules()
		if h := sms.HashNumber(key, rules.Numbers.DestinationAddress(number, nil, nil).Addr); h != all[0].Hash {
			all = append(all, NumberHash{r.Name, h})
		}
	}
	return all, nil
}
