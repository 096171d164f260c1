package dispatcher

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/dispatcher/text"
)

// maxAddressOctets of an address without its NUL (SMPP 3.4 §5.2.8, §5.2.9).
const maxAddressOctets = 20

// tagTimeToLive is qos_time_to_live, the validity period of data_sm in seconds
// (SMPP 3.4 §5.3.2.9).
const tagTimeToLive = 0x0017

// MessagingMode is how the SMSC is to handle a message: bits 1-0 of esm_class
// (SMPP 3.4 §5.2.12).
type MessagingMode uint8

// Messaging modes.
const (
	ModeDefault         MessagingMode = 0
	ModeDatagram        MessagingMode = 1
	ModeTransaction     MessagingMode = 2
	ModeStoreAndForward MessagingMode = 3
)

// MessageRules say how the jobs of a route become messages. The zero value
// is what the specification says and most SMSCs want.
type MessageRules struct {
	Source         sms.Address     // sender of jobs that name none, as it goes on the wire
	Numbers        NumberFormat    // of senders and recipients that jobs name
	Receipt        sms.ReceiptMode // of jobs that name none. Default final
	Alphabet       text.Alphabet   // behind data_coding 0. Default GSM 03.38
	Concat         text.Concat     // of long texts. Default UDH with an 8-bit reference
	SeptetsPerPart int             // 0 means what fits; see text.Options
	DataSM         bool            // data_sm instead of submit_sm
	Mode           MessagingMode
	ServiceType    string        // of jobs that name none
	ProtocolID     uint8         // of jobs that name none, or 0
	Validity       time.Duration // of jobs that name none; 0 means the SMSC's
	TLVs           []sms.TLV     // of jobs that do not give the tag themselves
}

// Encode makes the messages of a job: one, or the parts of a concatenated one.
// They are the same at every attempt, concatenation reference included, so
// that a part sent again joins the others on the handset. The error is an
// *sms.Error with CodeInvalid.
func (r *MessageRules) Encode(producer string, job *sms.Job) ([]*sms.Message, error) {
	base, err := r.base(job)
	if err != nil {
		return nil, err
	}
	encoded, err := r.userData(producer, job)
	if err != nil {
		return nil, err
	}
	if err := r.checkTags(job, encoded); err != nil {
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
		if sar := encoded.TLVs(i); sar != nil {
			m.TLVs = slices.Concat(base.TLVs, sar)
		}
		if encoded.Concat == text.Payload && !r.DataSM { // data_sm has its user data there anyway
			m.TLVs = slices.Concat(base.TLVs, []sms.TLV{{Tag: sms.TagMessagePayload, Value: m.ShortMessage}})
			m.ShortMessage = nil
		}
		msgs[i] = &m
	}
	return msgs, nil
}

// base is what all messages of a job share.
func (r *MessageRules) base(job *sms.Job) (sms.Message, error) {
	m := sms.Message{
		ServiceType:        job.ServiceType,
		Source:             r.source(job),
		Destination:        r.Numbers.DestinationAddress(job.To, job.ToTON, job.ToNPI),
		ESMClass:           uint8(r.Mode),
		ProtocolID:         job.ProtocolID,
		PriorityFlag:       job.Priority,
		RegisteredDelivery: registeredDelivery(job.Receipt, r.Receipt),
		TLVs:               r.tlvs(job),
		DataSM:             r.DataSM,
	}
	if m.ServiceType == "" {
		m.ServiceType = r.ServiceType
	}
	if m.ProtocolID == 0 {
		m.ProtocolID = r.ProtocolID
	}
	if n := len(m.Source.Addr); n > maxAddressOctets {
		return m, invalid("from: is %d characters as the route writes it, at most %d fit", n, maxAddressOctets)
	}
	if n := len(m.Destination.Addr); n > maxAddressOctets {
		return m, invalid("to: is %d characters as the route writes it, at most %d fit", n, maxAddressOctets)
	}
	validity := time.Duration(job.Validity)
	if validity == 0 {
		validity = r.Validity
	}
	if r.DataSM {
		return m, dataSM(&m, job, validity)
	}
	m.ValidityPeriod = validityPeriod(validity)
	if !job.ScheduleAt.IsZero() {
		m.ScheduleDeliveryTime = absoluteTime(job.ScheduleAt)
	}
	if job.Replace {
		m.ReplaceIfPresent = 1
	}
	return m, nil
}

// dataSM refuses what data_sm (SMPP 3.4 §4.7.1) cannot say. Only a priority is
// let go: it changes neither what arrives nor whether it may.
func dataSM(m *sms.Message, job *sms.Job, validity time.Duration) error {
	switch {
	case !job.ScheduleAt.IsZero():
		return invalid("schedule_at: the route sends data_sm, which has no place for it")
	case job.Replace:
		return invalid("replace_if_present: the route sends data_sm, which has no place for it")
	case m.ProtocolID != 0:
		return invalid("protocol_id: the route sends data_sm, which has no place for it")
	}
	m.PriorityFlag = 0
	if _, given := m.TLV(tagTimeToLive); validity > 0 && !given {
		seconds := binary.BigEndian.AppendUint32(nil, uint32(max(validity, time.Second)/time.Second))
		m.TLVs = append(slices.Clip(m.TLVs), sms.TLV{Tag: tagTimeToLive, Value: seconds})
	}
	return nil
}

// tlvs are the route's, but for the tags that the job gives, and then the job's.
func (r *MessageRules) tlvs(job *sms.Job) []sms.TLV {
	if len(job.TLVs) == 0 {
		return r.TLVs
	}
	all := make([]sms.TLV, 0, len(r.TLVs)+len(job.TLVs))
	for _, t := range r.TLVs {
		if !slices.ContainsFunc(job.TLVs, func(own sms.JobTLV) bool { return own.Tag == t.Tag }) {
			all = append(all, t)
		}
	}
	for _, t := range job.TLVs {
		all = append(all, sms.TLV{Tag: t.Tag, Value: t.Value})
	}
	return all
}

// ReservedTag reports whether a tag carries the user data or says how its
// parts belong together, which is the route's to decide.
func ReservedTag(tag uint16) bool {
	switch tag {
	case sms.TagMessagePayload, sms.TagSarMsgRefNum, sms.TagSarTotalSegs, sms.TagSarSegmentSeq:
		return true
	}
	return false
}

// checkTags refuses a job whose own TLVs contradict its text: a second message
// in message_payload (SMPP 3.4 §4.4.1), or one segment of several that is
// itself split.
func (r *MessageRules) checkTags(job *sms.Job, e text.Encoded) error {
	for _, t := range job.TLVs {
		switch {
		case !ReservedTag(t.Tag):
		case t.Tag == sms.TagMessagePayload && (r.DataSM || len(e.Segments[0].UserData()) > 0):
			return invalid("tlvs: message_payload (0x%04x) cannot stand beside the job's own text", t.Tag)
		case t.Tag != sms.TagMessagePayload && e.Concat != "":
			return invalid("tlvs: 0x%04x names one segment, but the text is too long for one", t.Tag)
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return &sms.Error{Op: "encode job", Code: sms.CodeInvalid, Err: fmt.Errorf(format, args...)}
}

func (r *MessageRules) userData(producer string, job *sms.Job) (text.Encoded, error) {
	if job.Text == nil {
		return text.SplitBinary(job.Data, job.UDH, job.DataCoding, job.Flash)
	}
	return text.Encode(*job.Text, text.Options{
		Encoding:       job.Encoding,
		Alphabet:       r.Alphabet,
		Concat:         r.Concat,
		Ref:            text.Reference(producer, job.ID),
		SeptetsPerPart: r.SeptetsPerPart,
		Flash:          job.Flash,
	})
}

// source is the job's sender, else the route's.
func (r *MessageRules) source(job *sms.Job) sms.Address {
	if job.From == "" {
		return override(r.Source, job.FromTON, job.FromNPI)
	}
	return r.Numbers.SourceAddress(job.From, job.FromTON, job.FromNPI)
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
