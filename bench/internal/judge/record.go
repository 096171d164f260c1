package judge

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// line is what is read of a line of the simulator's record.
type line struct {
	Event        string    `json:"ev"`
	Time         time.Time `json:"time"`
	Until        time.Time `json:"until"` // of a bind that ended
	SystemID     string    `json:"system_id"`
	ESMClass     uint8     `json:"esm_class"`
	ShortMessage string    `json:"short_message"` // hexadecimal
	Status       uint32    `json:"status"`
	MessageID    string    `json:"message_id"`
	Kind         string    `json:"kind"` // of a deliver_sm
	Attempt      struct {
		Answered time.Time `json:"answered"`
		Status   uint32    `json:"status"`
	} `json:"attempt"`
}

// eachLine reads the simulator's record, JSON lines.
func eachLine(r io.Reader, each func(*line) error) error {
	rd := bufio.NewReaderSize(r, 1<<20)
	for n := 1; ; n++ {
		b, err := rd.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(b) == 0 {
			return nil
		}
		var l line
		if err == nil {
			err = json.Unmarshal(b, &l)
		}
		if err == nil {
			err = each(&l)
		}
		if err != nil {
			return fmt.Errorf("line %d of the record: %w", n, err)
		}
	}
}

// job reads from a submit_sm which part of which job it is.
func (l *line) job() (id string, part int, err error) {
	octets, err := hex.DecodeString(l.ShortMessage)
	if err != nil {
		return "", 0, fmt.Errorf("short_message: %w", err)
	}
	part, text, err := userData(l.ESMClass, octets)
	if err != nil {
		return "", 0, err
	}
	name, _, _ := bytes.Cut(text, []byte(" "))
	return string(name), part, nil
}

// ReadRecord reads the simulator's record and adds each submit_sm and each
// receipt that was answered.
func (j *Judge) ReadRecord(r io.Reader) error {
	return eachLine(r, func(l *line) error {
		switch {
		case l.Event == "deliver" && l.Kind == "receipt" && l.Attempt.Status == 0 && !l.Attempt.Answered.IsZero():
			j.Answered(l.MessageID, l.Attempt.Answered)
		case l.Event == "submit":
			id, part, err := l.job()
			if err != nil {
				return err
			}
			j.Submit(Submit{Job: id, Part: part, MessageID: l.MessageID, At: l.Time})
		}
		return nil
	})
}

// EachSubmit reads the simulator's record for the job of each submit_sm and
// when it arrived.
func EachSubmit(r io.Reader, each func(job string, at time.Time)) error {
	return eachLine(r, func(l *line) error {
		if l.Event != "submit" {
			return nil
		}
		id, _, err := l.job()
		if err == nil {
			each(id, l.Time)
		}
		return err
	})
}

// udhi says that the user data begins with a header (SMPP 3.4 §5.2.12).
const udhi = 0x40

// userData splits user data into the number of its part, 1 when it is not
// concatenated, and its text (3GPP TS 23.040 §9.2.3.24.1 and .8).
func userData(esmClass uint8, b []byte) (part int, text []byte, err error) {
	if esmClass&udhi == 0 {
		return 1, b, nil
	}
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return 0, nil, errors.New("user data header longer than the message")
	}
	header, text := b[1:1+b[0]], b[1+b[0]:]
	for len(header) >= 2 {
		id, size := header[0], int(header[1])
		if len(header) < 2+size {
			break
		}
		value := header[2 : 2+size]
		switch {
		case id == 0x00 && size == 3: // 8-bit reference, total, number
			return int(value[2]), text, nil
		case id == 0x08 && size == 4: // 16-bit reference, total, number
			return int(value[3]), text, nil
		}
		header = header[2+size:]
	}
	return 0, nil, errors.New("user data header without concatenation")
}
