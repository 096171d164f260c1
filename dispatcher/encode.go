package dispatcher

import (
	"fmt"
	"strings"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

// Types of number and numbering plans (SMPP 3.4 §5.2.5, §5.2.6).
const (
	tonInternational   = 1
	tonNetworkSpecific = 3
	tonAlphanumeric    = 5
	npiUnknown         = 0
	npiISDN            = 1
)

// shortCodeDigits is the length up to which a sender of digits without + is
// taken for a short code rather than a subscriber's number.
const shortCodeDigits = 8

// encode makes the messages of a job: one, or the parts of a concatenated one.
// The user data, reference included, is the same at every attempt, so that a
// part sent again joins the others on the handset.
func (d *Dispatcher) encode(producer string, job *sms.Job) ([]*sms.Message, error) {
	base := sms.Message{
		ServiceType:        job.ServiceType,
		Source:             d.source(job),
		Destination:        destination(job),
		ProtocolID:         job.ProtocolID,
		PriorityFlag:       job.Priority,
		RegisteredDelivery: registeredDelivery(job.Receipt, d.cfg.Receipt),
		ValidityPeriod:     validityPeriod(time.Duration(job.Validity)),
	}
	if !job.ScheduleAt.IsZero() {
		base.ScheduleDeliveryTime = absoluteTime(job.ScheduleAt)
	}
	if job.Replace {
		base.ReplaceIfPresent = 1
	}
	for _, t := range job.TLVs {
		base.TLVs = append(base.TLVs, sms.TLV{Tag: t.Tag, Value: t.Value})
	}
	encoded, err := d.userData(producer, job)
	if err != nil {
		return nil, err
	}
	base.DataCoding = encoded.DataCoding
	base.PartsTotal = len(encoded.Segments)

	msgs := make([]*sms.Message, len(encoded.Segments))
	for i, seg := range encoded.Segments {
		m := base
		m.Part = i + 1
		m.ShortMessage = seg.UserData()
		if len(seg.UDH) > 0 {
			m.ESMClass |= sms.ESMClassUDHI
		}
		msgs[i] = &m
	}
	return msgs, nil
}

func (d *Dispatcher) userData(producer string, job *sms.Job) (text.Encoded, error) {
	if job.Text == nil {
		return text.SplitBinary(job.Data, job.UDH, job.DataCoding, job.Flash)
	}
	return text.Encode(*job.Text, text.Options{
		Encoding:       job.Encoding,
		Ref:            text.Reference(producer, job.ID),
		Ref16:          d.cfg.Ref16,
		SeptetsPerPart: d.cfg.SeptetsPerPart,
		Flash:          job.Flash,
	})
}

// source is the job's sender, else the route's.
func (d *Dispatcher) source(job *sms.Job) sms.Address {
	if job.From == "" {
		return override(d.cfg.Source, job.FromTON, job.FromNPI)
	}
	return override(SourceAddress(job.From), job.FromTON, job.FromNPI)
}

// SourceAddress gives a sender the type of number that its form calls for.
func SourceAddress(from string) sms.Address {
	digits, plus := strings.CutPrefix(from, "+")
	switch {
	case digits == "":
		return sms.Address{}
	case !allDigits(digits):
		return sms.Address{TON: tonAlphanumeric, NPI: npiUnknown, Addr: from}
	case plus || len(digits) > shortCodeDigits:
		return sms.Address{TON: tonInternational, NPI: npiISDN, Addr: digits}
	}
	return sms.Address{TON: tonNetworkSpecific, NPI: npiUnknown, Addr: digits}
}

func destination(job *sms.Job) sms.Address {
	return override(sms.Address{
		TON: tonInternational, NPI: npiISDN, Addr: strings.TrimPrefix(job.To, "+"),
	}, job.ToTON, job.ToNPI)
}

func override(a sms.Address, ton, npi *uint8) sms.Address {
	if ton != nil {
		a.TON = *ton
	}
	if npi != nil {
		a.NPI = *npi
	}
	return a
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// registeredDelivery maps the receipt mode (SMPP 3.4 §5.2.17).
func registeredDelivery(mode, fallback sms.ReceiptMode) uint8 {
	if mode == "" {
		mode = fallback
	}
	switch mode {
	case sms.ReceiptNone:
		return 0x00
	case sms.ReceiptFailure:
		return 0x02
	case sms.ReceiptAll:
		return 0x11
	}
	return 0x01
}

// validityPeriod writes a relative time (SMPP 3.4 §7.1.1), or an absolute one
// beyond 30 days: how long a relative month lasts is not specified.
func validityPeriod(v time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case v <= 0:
		return ""
	case v > 30*day:
		return absoluteTime(time.Now().Add(v))
	}
	v = max(v, time.Second)
	return fmt.Sprintf("0000%02d%02d%02d%02d000R", v/day, v%day/time.Hour, v%time.Hour/time.Minute, v%time.Minute/time.Second)
}

// absoluteTime writes an absolute time in UTC (SMPP 3.4 §7.1.1).
func absoluteTime(t time.Time) string {
	return t.UTC().Format("060102150405") + "000+"
}
