package app

import (
	"errors"
	"time"

	"github.com/shortwire-sms/shortwire/binds"
)

// ProbeConfig says when a route that is paused, because the SMSC refuses the
// account, tries a job again.
type ProbeConfig struct {
	Initial time.Duration `yaml:"initial"` // from the refusal to the first try, then doubled, 100ms..1h. Default 10s
	Max     time.Duration `yaml:"max"`     // longest, at least Initial, at most 24h. Default 5m
}

func (c *ProbeConfig) setDefaults() {
	*c = ProbeConfig{Initial: 10 * time.Second, Max: 5 * time.Minute}
}

// StatusConfig is command_status, by name or number, to the name of a class.
type StatusConfig map[string]string

func (c *checker) status(path string, r *RouteConfig) {
	within(c, path+".account_probe.initial", r.AccountProbe.Initial, minTimer, time.Hour)
	within(c, path+".account_probe.max", r.AccountProbe.Max, r.AccountProbe.Initial, 24*time.Hour)
	_, faults := binds.ParseOverrides(r.Status)
	joined, ok := faults.(interface{ Unwrap() []error })
	if !ok {
		return
	}
	for _, err := range joined.Unwrap() {
		if fault, ok := errors.AsType[*binds.OverrideError](err); ok {
			c.wrong(path+".status."+fault.Key, "%s", fault.Message)
		}
	}
}

// overrides are the route's own classes of command_status.
func (c *RouteConfig) overrides() binds.Overrides {
	o, _ := binds.ParseOverrides(c.Status) // the configuration was checked
	return o
}
