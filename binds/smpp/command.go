package smpp

import "github.com/linxGnu/gosmpp/data"

// Command ids (§5.1.2.1), unsigned as they are on the wire.
const (
	cmdGenericNack       uint32 = 0x80000000
	cmdBindReceiver             = uint32(data.BIND_RECEIVER)
	cmdBindTransmitter          = uint32(data.BIND_TRANSMITTER)
	cmdSubmitSM                 = uint32(data.SUBMIT_SM)
	cmdSubmitSMResp             = cmdSubmitSM | responseBit
	cmdDeliverSM                = uint32(data.DELIVER_SM)
	cmdUnbind                   = uint32(data.UNBIND)
	cmdUnbindResp               = cmdUnbind | responseBit
	cmdBindTransceiver          = uint32(data.BIND_TRANSCEIVER)
	cmdOutbind                  = uint32(data.OUTBIND)
	cmdEnquireLink              = uint32(data.ENQUIRE_LINK)
	cmdEnquireLinkResp          = cmdEnquireLink | responseBit
	cmdAlertNotification        = uint32(data.ALERT_NOTIFICATION)
	cmdDataSM                   = uint32(data.DATA_SM)
	cmdDataSMResp               = cmdDataSM | responseBit
	responseBit          uint32 = 0x80000000
)

// Commands that an [Inbound] can carry.
const (
	CommandDeliverSM = cmdDeliverSM
	CommandDataSM    = cmdDataSM
)

// Values of command_status (§5.1.3) that a session itself sends or looks at.
const (
	StatusOK        = uint32(data.ESME_ROK)
	StatusInvCmdLen = uint32(data.ESME_RINVCMDLEN)
	StatusInvCmdID  = uint32(data.ESME_RINVCMDID)
	// StatusTemporary tells an SMSC to keep a message and offer it again.
	StatusTemporary = uint32(data.ESME_RX_T_APPN)
)

// BindType says which way messages flow over a session (§4.1).
type BindType uint8

// Bind types.
const (
	Transceiver BindType = iota // both ways
	Transmitter                 // submit only
	Receiver                    // deliver only
)

// command returns the bind request's command id.
func (t BindType) command() uint32 {
	switch t {
	case Transmitter:
		return cmdBindTransmitter
	case Receiver:
		return cmdBindReceiver
	default:
		return cmdBindTransceiver
	}
}

// String returns the name of the bind operation: "bind_transceiver".
func (t BindType) String() string {
	switch t {
	case Transmitter:
		return "bind_transmitter"
	case Receiver:
		return "bind_receiver"
	default:
		return "bind_transceiver"
	}
}
