package smsctest

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Config says how the simulator behaves. The zero value lets anything bind,
// accepts every submit_sm at once and sends the receipts asked for, DELIVRD.
type Config struct {
	// SystemID and Password are the one account that may bind; with an empty
	// SystemID (and no Credentials) anything binds.
	SystemID, Password string
	// Credentials adds accounts: system_id to password.
	Credentials map[string]string
	// MaxBinds is the number of binds that one system_id may hold; further
	// ones get ESME_RALYNBD. 0 is unlimited.
	MaxBinds int

	// Window is the number of unanswered submit_sm that one bind may have;
	// further ones get WindowStatus. 0 is unlimited.
	Window int
	// WindowStatus is the answer above Window. Default ESME_RMSGQFUL.
	WindowStatus uint32
	// Rate is the number of submit_sm per second that one system_id may send
	// over all its binds; above it and Burst they get ESME_RTHROTTLED.
	// 0 is unlimited.
	Rate float64
	// Burst is the number of submit_sm over Rate in one moment. Default 1.
	Burst int
	// Latency is the time from submit_sm to its response, Jitter what is added
	// at random to it, uniformly.
	Latency, Jitter time.Duration

	// EnquireLink is the interval of the simulator's own enquire_link per
	// bind. 0 sends none.
	EnquireLink time.Duration
	// IdleTimeout closes a connection that sends nothing for so long. 0 never.
	IdleTimeout time.Duration

	IDs      IDs
	Receipts ReceiptConfig
	Faults   Faults
	Quirks   Quirks
	// Magic lets destinations decide: see MagicNumbers.
	Magic bool

	// OnBind is asked for the status of each bind that credentials and
	// MaxBinds let through; ROK accepts. NoAnswer and CloseConnection are
	// understood in place of a status.
	OnBind func(*BindRequest) uint32
	// OnSubmit decides about each submit_sm that nothing before it refused;
	// nil accepts. It is called on the connection's reader: it must not block,
	// and it must not change the Submit.
	OnSubmit func(*Submit) Action
	// OnPDU sees every PDU before anything else does. With handled true the
	// simulator does nothing more with it than to send reply, if any. It is
	// called on the connection's reader; the Body is valid during the call.
	OnPDU func(bind uint64, p PDU) (reply []byte, handled bool)

	// Seed makes the random choices repeatable, per connection in the order
	// of connecting. 0 is a seed like any other.
	Seed int64

	// Keep bounds the record in memory: 0 keeps everything, n > 0 at least the
	// last n (and at most 2n) submits and as many deliveries, below 0 nothing.
	Keep int
	// RecordTo gets the record as JSON lines, one object per event, buffered
	// and flushed every 200 ms and by Close.
	RecordTo io.Writer
	// TimesTo gets the time of each submit_sm read and of each deliver_sm put
	// on the wire, one short line each, at a small part of what RecordTo costs:
	// "s 1700000000000000000 WORD" and "r 1700000000000000000 ID" with Unix
	// nanoseconds, WORD the message up to its first space, octet for octet, and ID the
	// message id (empty for an MO). Buffered and flushed like RecordTo.
	TimesTo io.Writer
	// Logger gets session events at debug level. Default none.
	Logger *slog.Logger
}

// In place of a status from OnBind.
const (
	// NoAnswer leaves the bind request without an answer.
	NoAnswer uint32 = 0xFFFFFFFF
	// CloseConnection closes the connection without a PDU.
	CloseConnection uint32 = 0xFFFFFFFE
)

// BindRequest is a bind_transmitter, bind_receiver or bind_transceiver.
type BindRequest struct {
	Bind             uint64 // Bind.ID of the connection
	CommandID        uint32
	Sequence         uint32
	SystemID         string
	Password         string
	SystemType       string
	InterfaceVersion uint8
	AddrTON, AddrNPI uint8
	AddressRange     string
	Remote           string
}

// Faults are shares, 0 to 1, of submit_sm that fail at random. They are drawn
// one after another in the order of the fields; only Mute takes the message in.
type Faults struct {
	Error       float64 // answered with ErrorStatus
	ErrorStatus uint32  // Default ESME_RSYSERR.
	Throttle    float64 // answered with ESME_RTHROTTLED
	Drop        float64 // neither taken in nor answered
	Mute        float64 // taken in, receipt and all, but never answered
	Close       float64 // not taken in; the connection is closed
}

// Notation is a way to write a message id that is a number.
type Notation int

// The notations.
const (
	Decimal       Notation = iota // "6842190011"
	DecimalPadded                 // at least ten digits: "0000436949"
	Hex                           // "6aad5"
	HexUpper                      // "6AAD5"
)

// Format writes a message id.
func (n Notation) Format(id uint64) string {
	switch n {
	case DecimalPadded:
		return fmt.Sprintf("%010d", id)
	case Hex:
		return strconv.FormatUint(id, 16)
	case HexUpper:
		return strings.ToUpper(strconv.FormatUint(id, 16))
	default:
		return strconv.FormatUint(id, 10)
	}
}

// IDs says how message ids are written. The TLV receipted_message_id repeats
// what submit_sm_resp said, as SMSCs with two notations do.
type IDs struct {
	Submit  Notation // in submit_sm_resp
	Receipt Notation // in the receipt's text
}

// ReceiptFormat says where a receipt carries its facts.
type ReceiptFormat int

// The formats.
const (
	FormatBoth ReceiptFormat = iota // Appendix B text and TLVs
	FormatText                      // Appendix B text only
	FormatTLV                       // TLVs only, no short_message
)

// Via says over which bind a receipt goes.
type Via int

// The ways. Each falls back to whatever bind of the system_id can receive.
const (
	ViaSubmitter Via = iota // the bind that submitted
	ViaAny                  // round robin over all
	ViaOther                // any but the one that submitted
)

// ReceiptConfig says how delivery receipts come.
type ReceiptConfig struct {
	Off bool // none at all, whatever registered_delivery asks
	// Delay is the time from the submit_sm_resp to the final receipt, Jitter
	// what is added at random to it, uniformly. An intermediate notification
	// comes after half of it.
	Delay, Jitter time.Duration
	// Before sends the receipt when submit_sm comes, ahead of the response.
	Before bool
	// States are the final states and their weights. Default DELIVRD only.
	States []StateShare
	Format ReceiptFormat
	Via    Via
	// Echo is how many octets of the message the text repeats. Default 20,
	// below 0 none.
	Echo int
	// DateLayout writes both dates, in UTC. Default "0601021504" (Appendix B).
	DateLayout string
	// Duplicates is the share, 0 to 1, of receipts that are sent twice.
	Duplicates float64
	// Window is the number of unanswered deliver_sm per bind. Default 1000.
	Window int
	// RetryDelay is the time after which a receipt that got a temporary error
	// is sent again. Default 1s.
	RetryDelay time.Duration
	// AckTimeout is the time after which a receipt without an answer is sent
	// again. Default 30s.
	AckTimeout time.Duration
	// Permanent are the statuses of deliver_sm_resp after which a receipt is
	// given up. Default ESME_RX_P_APPN and ESME_RX_R_APPN.
	Permanent []uint32
}

// StateShare is a final state and its weight.
type StateShare struct {
	State  string // "DELIVRD", as in Appendix B
	Weight float64
}

// ParseStates reads "DELIVRD=90,UNDELIV=8,EXPIRED=2".
func ParseStates(s string) ([]StateShare, error) {
	var out []StateShare
	for part := range strings.SplitSeq(s, ",") {
		name, weight, ok := strings.Cut(strings.TrimSpace(part), "=")
		w, err := strconv.ParseFloat(weight, 64)
		if !ok || err != nil || w < 0 {
			return nil, fmt.Errorf("receipt states: %q is not STATE=WEIGHT", part)
		}
		if _, known := messageStates[name]; !known {
			return nil, fmt.Errorf("receipt states: unknown state %q", name)
		}
		out = append(out, StateShare{State: name, Weight: w})
	}
	return out, nil
}

func (c Config) withDefaults() Config {
	setDefault(&c.WindowStatus, RMSGQFUL)
	setDefault(&c.Burst, 1)
	setDefault(&c.Faults.ErrorStatus, RSYSERR)
	r := &c.Receipts
	setDefault(&r.Echo, 20)
	setDefault(&r.DateLayout, "0601021504")
	setDefault(&r.Window, 1000)
	setDefault(&r.RetryDelay, time.Second)
	setDefault(&r.AckTimeout, 30*time.Second)
	if r.Permanent == nil {
		r.Permanent = []uint32{RXPAPPN, RXRAPPN}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
