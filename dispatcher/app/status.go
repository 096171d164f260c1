package app

import (
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// Status is the state of a worker at one moment, as /status shows it.
type Status struct {
	Worker   string  `json:"worker"`   // worker.id
	Version  string  `json:"version"`  // of the program
	UptimeS  float64 `json:"uptime_s"` // seconds since Run began
	Draining bool    `json:"draining"` // takes no new jobs and ends soon
	NATS     Health  `json:"nats"`     //
	Redis    Health  `json:"redis"`    //
	// LedgerLost is when this worker last saw that Redis had lost what it knew of jobs.
	LedgerLost *time.Time `json:"ledger_lost,omitempty"`

	Config   ConfigStatus  `json:"config"`    //
	Notices  []string      `json:"notices"`   // Config.Notices
	Routes   []RouteStatus `json:"routes"`    // in the order of the configuration
	MemoryMB float64       `json:"memory_mb"` // obtained from the system, MiB; 0 when not measured
	CPU      *CPUStatus    `json:"cpu,omitempty"`
	Errors   []RecentError `json:"errors,omitempty"` // of all routes, the latest first, 50 at most
	// CodeMeanings is what the codes of outcomes say.
	CodeMeanings map[sms.Code]string `json:"code_meanings,omitempty"`
}

// Health is whether something the worker depends on can be used.
type Health struct {
	OK      bool   `json:"ok"`
	Error   string `json:"error,omitempty"` // why not
	Waiting int    `json:"waiting"`         // publishes, or commands, that have no answer yet
}

// RouteStatus is the state of one route in this worker. Counters count from
// the start of the worker.
type RouteStatus struct {
	Name          string                  `json:"name"`
	Limit         dispatcher.Limit        `json:"limit"`                  // what keeps the route from sending faster now
	LimitWhy      string                  `json:"limit_why"`              // the numbers behind it
	LimitAdvice   string                  `json:"limit_advice,omitempty"` // what to do about it
	LimitedFor    map[string]float64      `json:"limited_for_s"`          // seconds that each limit held so far, by limit
	RateAllowed   float64                 `json:"rate_allowed"`           // submit_sm per second; 0 = unlimited
	Rate          RateStatus              `json:"rate"`                   // what holds now over the fleet
	RateUsed      float64                 `json:"rate_used"`              // submit_sm per second lately
	Lanes         map[sms.Lane]LaneStatus `json:"lanes"`                  //
	BindsWanted   int                     `json:"binds_wanted"`           // tried now: fewer than configured while the SMSC allows fewer, or other workers have them
	Slots         *SlotStatus             `json:"slots,omitempty"`        // under max_binds
	Binds         []BindStatus            `json:"binds"`                  // sessions: two for each bind of a pair
	Received      int64                   `json:"received"`               // deliveries taken, repeats included
	Overtaken     int64                   `json:"overtaken"`              // of these, jobs that went before another producer's
	Outcomes      map[sms.Kind]int64      `json:"outcomes"`               // results published, by kind
	Codes         map[sms.Code]int64      `json:"codes,omitempty"`        // of failed, expired and uncertain outcomes
	Retries       int64                   `json:"retries"`                // attempts scheduled
	DeadLetters   int64                   `json:"dead_letters"`           // jobs buried
	Diverted      int64                   `json:"diverted"`               // jobs submitted by another route
	Receipts      ReceiptStatus           `json:"receipts"`               //
	SubmitLatency SpreadStatus            `json:"submit_latency"`         // from submit_sm to the response that accepted it
	ReceiptDelay  SpreadStatus            `json:"receipt_delay"`          // from that to the final receipt, of a sample that this worker submitted and got the receipts of
	Inbound       InboundStatus           `json:"inbound"`                //
	Traced        bool                    `json:"traced"`                 // somebody watches its PDUs
	Paused        *PauseStatus            `json:"paused,omitempty"`       // while the SMSC refuses the account
	Pauses        []OperatorPause         `json:"pauses,omitempty"`       // of operators
	Draining      bool                    `json:"draining,omitempty"`     // removed from the configuration: it ends
	Diversion     *DiversionStatus        `json:"diversion,omitempty"`    // while jobs go by another route
}

// DiversionStatus is by which route jobs go that their own cannot send.
type DiversionStatus struct {
	Via    string           `json:"via"`    // route
	Reason dispatcher.Limit `json:"reason"` // no_bind or account
	Since  time.Time        `json:"since"`  // of the reason
}

// PauseStatus is why a route is paused.
type PauseStatus struct {
	Status     uint32    `json:"status"`      // command_status that refused the account
	StatusName string    `json:"status_name"` // its name
	Since      time.Time `json:"since"`       //
	Next       time.Time `json:"next"`        // when a job is tried again
}

// LaneStatus is the state of one lane.
type LaneStatus struct {
	InFlight  int  `json:"in_flight"`         // jobs in hand
	Waiting   int  `json:"waiting"`           // of these, before their first part
	Producers int  `json:"producers"`         // whose waiting jobs these are
	Backlog   *int `json:"backlog,omitempty"` // jobs at the server that no worker has; only in answer to GET /status
	Held      *int `json:"held,omitempty"`    // jobs that workers have, of the whole fleet; likewise
}

// BindStatus is the state of one bind, or of one session of a pair.
type BindStatus struct {
	Name             string            `json:"name"`                        // acme/1; acme/1/tx and acme/1/rx in a pair
	Type             string            `json:"type"`                        // transceiver, transmitter or receiver
	Endpoint         string            `json:"endpoint"`                    // host:port
	State            string            `json:"state"`                       // one of binds.States
	Since            time.Time         `json:"since"`                       // of State
	Entered          map[string]uint64 `json:"entered,omitempty"`           // how often each state was entered
	Held             bool              `json:"held,omitempty"`              // not tried for a while: the SMSC allows fewer binds
	SMSC             string            `json:"smsc,omitempty"`              // what it calls itself, while bound
	InterfaceVersion string            `json:"interface_version,omitempty"` // that it says it speaks, 3.4, while bound
	CongestionState  *int              `json:"congestion_state,omitempty"`  // 0..100, the last it gave (5.0)
	Window           int               `json:"window"`                      // slots; 0 of a receiver
	InFlight         int               `json:"in_flight"`                   // of these, taken
	LastError        string            `json:"last_error,omitempty"`        // of the bind or its last connection
	Hint             string            `json:"hint,omitempty"`              // what to do about it
}

// ReceiptStatus counts what SMSCs reported.
type ReceiptStatus struct {
	Matched   int64 `json:"matched"`   // published with their job
	Parked    int64 `json:"parked"`    // came before their job was known
	Unmatched int64 `json:"unmatched"` // published without a job

	MatchRate *float64 `json:"match_rate"`     // share of receipts published with their job in the last 5 to 10 minutes, 0..1; null when there was none
	Hint      string   `json:"hint,omitempty"` // what seems to keep receipts from their jobs, and what to do about it
}
