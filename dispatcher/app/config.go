package app

import (
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

// Config is the whole configuration of a worker, as Load reads it. Every
// field's comment names its unit, its range and its default; the annotated
// example is deploy/shortwire.example.yaml.
type Config struct {
	NATS   NATSConfig   `yaml:"nats"`
	Redis  RedisConfig  `yaml:"redis"`
	Admin  AdminConfig  `yaml:"admin"`
	Worker WorkerConfig `yaml:"worker"`

	Privacy PrivacyConfig `yaml:"privacy"`

	Routes []RouteConfig `yaml:"routes"` // at least one

	// Notices say what the file asks for and this version holds in a weaker
	// form. They are logged at the start and printed by check.
	Notices []string `yaml:"-"`
}

// NATSConfig says where jobs come from and results go to.
type NATSConfig struct {
	URL           string          `yaml:"url"`                  // nats, tls, ws or wss URLs, comma-separated, without credentials. Default nats://127.0.0.1:4222
	TLS           ClientTLSConfig `yaml:"tls"`                  // with any key TLS is required, whatever the URL says
	CredsFile     string          `yaml:"creds_file"`           // NATS credentials file; a relative path starts at the configuration's directory. Default none
	NKeyFile      string          `yaml:"nkey_file"`            // or file with an NKey's seed. Default none
	User          string          `yaml:"user"`                 // or a user with a password. Default none
	PasswordEnv   string          `yaml:"password_env"`         // environment variable with User's password. Default none
	PasswordFile  string          `yaml:"password_file"`        // or file with it. Default none
	Password      Secret          `yaml:"-"`                    // what Load found there
	Seed          Secret          `yaml:"-"`                    // what Load found in NKeyFile
	InboxPrefix   string          `yaml:"inbox_prefix"`         // first tokens of the subjects that answers come to; a prefix of one's own is one that nobody else need be allowed to read. Default _INBOX
	ResultsFor    []string        `yaml:"results_for"`          // producers for which setup makes a durable consumer of their results, named after them: their readers then need no right to make one. Default none
	SubjectPrefix string          `yaml:"subject_prefix"`       // one token [A-Za-z0-9_-]{1,32}. Default sms
	Replicas      int             `yaml:"replicas"`             // of every stream: 1, 3 or 5. Default 1
	JobsMaxBytes  int64           `yaml:"jobs_max_bytes"`       // octets of one route's jobs, reserved on the server's disk, 1 MiB..1 PiB; -1 means no limit. Default 2147483648
	JobsMax       int64           `yaml:"jobs_max_per_subject"` // jobs waiting per lane and producer before publishing is refused, 1..1e9. Default 5000000
}

// RedisConfig says where the ledger and the correlation are kept.
type RedisConfig struct {
	URL                  string          `yaml:"url"`                    // redis://host:port/db, rediss:// or unix://, also redis+sentinel:// and redis+cluster://, without a password. Default redis://127.0.0.1:6379/0
	TLS                  ClientTLSConfig `yaml:"tls"`                    // of rediss URLs
	User                 string          `yaml:"user"`                   // ACL user; needs a password. Default that of the URL, or else Redis's own default
	PasswordEnv          string          `yaml:"password_env"`           // environment variable with the password. Default none
	PasswordFile         string          `yaml:"password_file"`          // or file with it. Default none
	SentinelPasswordEnv  string          `yaml:"sentinel_password_env"`  // environment variable with the password of the Sentinels themselves. Default none
	SentinelPasswordFile string          `yaml:"sentinel_password_file"` // or file with it. Default none
	Password             Secret          `yaml:"-"`                      // what Load found there
	SentinelPassword     Secret          `yaml:"-"`                      // likewise
}

// PrivacyConfig says how numbers are known again that are not shown.
type PrivacyConfig struct {
	HashKeyEnv  string `yaml:"hash_key_env"`  // environment variable with the key by which logs and traces name numbers beside their mask. Default none: the mask alone
	HashKeyFile string `yaml:"hash_key_file"` // or file with it. Default none
	HashKey     Secret `yaml:"-"`             // what Load found there
}

// WorkerConfig is about this process.
type WorkerConfig struct {
	ID           string        `yaml:"id"`            // [A-Za-z0-9._-]{1,64}, unique in the fleet. Default <host name>-<process id>
	DrainTimeout time.Duration `yaml:"drain_timeout"` // from the first signal to the end, 100ms..1h. Default 25s
}

// RouteConfig is one SMSC account.
type RouteConfig struct {
	Name             string             `yaml:"name"`               // [A-Za-z0-9_-]{1,32}, unique without regard to case. Required
	Endpoints        []string           `yaml:"endpoints"`          // host:port, binds spread over them. At least one
	TLS              TLSConfig          `yaml:"tls"`                // Default off
	SystemID         string             `yaml:"system_id"`          // account name at the SMSC. Required
	PasswordEnv      string             `yaml:"password_env"`       // environment variable with the password; this or PasswordFile is required
	PasswordFile     string             `yaml:"password_file"`      // file with it, without its last line end; a relative path starts at the configuration's directory
	Password         Secret             `yaml:"-"`                  // what Load found there
	SystemType       string             `yaml:"system_type"`        // as the SMSC asks for. Default empty
	InterfaceVersion string             `yaml:"interface_version"`  // "3.3", "3.4" or "5.0". Default "3.4"
	BindType         string             `yaml:"bind_type"`          // transceiver, or transmitter+receiver: a pair of sessions for each bind. Default transceiver
	AddrTON          uint8              `yaml:"addr_ton"`           // type of number of AddressRange, 0..255. Default 0
	AddrNPI          uint8              `yaml:"addr_npi"`           // numbering plan of AddressRange, 0..255. Default 0
	AddressRange     string             `yaml:"address_range"`      // addresses whose messages come here, as the SMSC wants it written, at most 40 characters. Default empty
	Failover         string             `yaml:"failover"`           // spread: bind n prefers endpoint n, round and round; ordered: all prefer the first. Default spread
	ReturnAfter      time.Duration      `yaml:"return_after"`       // at another endpoint, before a bind looks whether it can go back, 1s..24h; 0 means never. Default 5m
	TCP              TCPConfig          `yaml:"tcp"`                // below SMPP
	Backoff          BackoffConfig      `yaml:"backoff"`            // pauses of binds
	Binds            int                `yaml:"binds"`              // per worker, 1..256; a pair counts as one. Default 1
	MaxBinds         int                `yaml:"max_binds"`          // over the fleet, at least Binds; a pair counts as one; 0 means no quota. Default 0
	Window           int                `yaml:"window"`             // outstanding submit_sm per bind, 1..10000. Default 100
	Rate             float64            `yaml:"rate"`               // submit_sm per second on the route, 0.001..1e6; 0 means unlimited. Default 0
	Burst            int                `yaml:"burst"`              // submit_sm at once after a pause, 1..1e6; only with Rate. Default a tenth of Rate, at least 1
	RateFloor        float64            `yaml:"rate_floor"`         // submit_sm per second that throttling leaves at least, 0.001..1e6, at most Rate. Default 1, or Rate if that is less
	RateWithoutRedis float64            `yaml:"rate_without_redis"` // submit_sm per second of each worker while Redis is away, at most Rate, which it needs; 0 means none. Default 0
	BindRate         float64            `yaml:"bind_rate"`          // submit_sm per second per bind, 0.001..1e6; 0 means unlimited. Default 0
	Lanes            LanesConfig        `yaml:"lanes"`              // weights
	EnquireLink      time.Duration      `yaml:"enquire_link"`       // silence before the peer is asked for life, 100ms..1h. Default 30s
	ResponseTimeout  time.Duration      `yaml:"response_timeout"`   // for submit_sm_resp, 100ms..1h; afterwards the part is in doubt. Default 60s
	BindTimeout      time.Duration      `yaml:"bind_timeout"`       // for connect and TLS, and again for bind_resp, 100ms..5m. Default 30s
	Source           SourceConfig       `yaml:"source"`             // sender of jobs that name none
	Receipt          sms.ReceiptMode    `yaml:"receipt"`            // final, failure, all or none: for jobs that do not say. Default final
	MessageID        MessageIDConfig    `yaml:"message_id"`         // how ids of responses and receipts become the same
	Receipts         ReceiptsConfig     `yaml:"receipts"`           // how the SMSC writes receipts
	Inbound          InboundConfig      `yaml:"inbound"`            // messages from handsets
	Concat           string             `yaml:"concat"`             // how parts of long texts are held together: udh8, udh16, sar or payload. Default udh8
	Message          MessageConfig      `yaml:"message"`            // how the SMSC wants messages made
	NumberFormat     NumberFormatConfig `yaml:"number_format"`      // how the SMSC wants numbers written
	CorrelationTTL   time.Duration      `yaml:"correlation_ttl"`    // how long receipts find their job, 1m..2160h. Default 192h
	LedgerTTL        time.Duration      `yaml:"ledger_ttl"`         // how long a job id is remembered, 1m..2160h. Default 24h
	ParkingTime      time.Duration      `yaml:"parking_time"`       // how long a receipt waits for its job before it is published as unmatched, 1s..24h. Default 1m
	Retry            RetryConfig        `yaml:"retry"`              // attempts after temporary refusals
	AccountProbe     ProbeConfig        `yaml:"account_probe"`      // tries while the SMSC refuses the account
	Status           StatusConfig       `yaml:"status"`             // classes of command_status that are this SMSC's own. Default none
	Fallback         string             `yaml:"fallback"`           // another route, by which jobs go while this one cannot send. Default none
	FallbackAfter    time.Duration      `yaml:"fallback_after"`     // without a bind, before jobs go by Fallback, 1s..24h; only with it. Default 30s
}

// TLSConfig is TLS towards the SMSC.
type TLSConfig struct {
	Enabled    bool   `yaml:"enabled"`     // Default false
	CAFile     string `yaml:"ca_file"`     // PEM. Default the system's authorities
	CertFile   string `yaml:"cert_file"`   // PEM, client certificate; with KeyFile. Default none
	KeyFile    string `yaml:"key_file"`    // PEM. Default none
	ServerName string `yaml:"server_name"` // in SNI and verification. Default the endpoint's host
	MinVersion string `yaml:"min_version"` // "1.0" to "1.3"; below 1.2 only for SMSCs that cannot do better. Default "1.2"
	Held       string `yaml:"-"`           // digests of what Load found in the files
}

// LanesConfig are the shares of the lanes while all of them have jobs.
type LanesConfig struct {
	High   int `yaml:"high"`   // 1..1000. Default 8
	Normal int `yaml:"normal"` // 1..1000. Default 4
	Bulk   int `yaml:"bulk"`   // 1..1000. Default 1
}

// SourceConfig is a sender address.
type SourceConfig struct {
	Address string `yaml:"address"` // digits with optional +, or up to 11 alphanumeric characters. Default none: the SMSC's
	TON     *uint8 `yaml:"ton"`     // type of number, 0..255. Default by the form of Address
	NPI     *uint8 `yaml:"npi"`     // numbering plan, 0..255. Default by the form of Address
}

// MessageIDConfig says how message ids are written where (SMPP 3.4 §5.2.23
// leaves it to the SMSC, and many write the two differently).
type MessageIDConfig struct {
	Submit  string `yaml:"submit"`  // in submit_sm_resp: as-is, hex, decimal or auto. Default as-is
	Receipt string `yaml:"receipt"` // in receipts: as-is, hex or decimal; auto when Submit is, and only then. Default as-is
}

// RetryConfig is the back-off between attempts of one job.
type RetryConfig struct {
	MaxAttempts int           `yaml:"max_attempts"` // including the first, 1..1000. Default 5
	Initial     time.Duration `yaml:"initial"`      // before the second attempt, then doubled, 10ms..1h. Default 2s
	Max         time.Duration `yaml:"max"`          // longest pause, at least Initial, at most 24h. Default 5m
}

// Bind types.
const (
	BindTransceiver         = "transceiver"
	BindTransmitterReceiver = "transmitter+receiver"
)

// Notations of message ids.
const (
	MessageIDAsIs    = "as-is"
	MessageIDHex     = "hex"
	MessageIDDecimal = "decimal"
	MessageIDAuto    = "auto"
)

func (c *NATSConfig) setDefaults() {
	*c = NATSConfig{URL: "nats://127.0.0.1:4222", InboxPrefix: "_INBOX", SubjectPrefix: "sms", Replicas: 1, JobsMax: 5_000_000, JobsMaxBytes: 2 << 30}
}

func (c *RedisConfig) setDefaults() { *c = RedisConfig{URL: "redis://127.0.0.1:6379/0"} }

func (c *WorkerConfig) setDefaults() { *c = WorkerConfig{DrainTimeout: 25 * time.Second} }

func (c *RouteConfig) setDefaults() {
	*c = RouteConfig{
		InterfaceVersion: "3.4",
		BindType:         BindTransceiver,
		Failover:         FailoverSpread,
		ReturnAfter:      5 * time.Minute,
		Binds:            1,
		Window:           100,
		EnquireLink:      30 * time.Second,
		ResponseTimeout:  60 * time.Second,
		BindTimeout:      30 * time.Second,
		Receipt:          sms.ReceiptFinal,
		Concat:           string(text.UDH8),
		CorrelationTTL:   192 * time.Hour,
		LedgerTTL:        24 * time.Hour,
		ParkingTime:      time.Minute,
		FallbackAfter:    30 * time.Second,
	}
}

func (c *TLSConfig) setDefaults() { *c = TLSConfig{MinVersion: "1.2"} }

func (c *LanesConfig) setDefaults() { *c = LanesConfig{High: 8, Normal: 4, Bulk: 1} }

func (c *MessageIDConfig) setDefaults() {
	*c = MessageIDConfig{Submit: MessageIDAsIs, Receipt: MessageIDAsIs}
}

func (c *RetryConfig) setDefaults() {
	*c = RetryConfig{MaxAttempts: 5, Initial: 2 * time.Second, Max: 5 * time.Minute}
}

// Route returns the route with the name.
func (c *Config) Route(name string) (*RouteConfig, bool) {
	for i := range c.Routes {
		if c.Routes[i].Name == name {
			return &c.Routes[i], true
		}
	}
	return nil, false
}

// Weights returns the weights by lane.
func (c LanesConfig) Weights() map[sms.Lane]int {
	return map[sms.Lane]int{sms.LaneHigh: c.High, sms.LaneNormal: c.Normal, sms.LaneBulk: c.Bulk}
}
