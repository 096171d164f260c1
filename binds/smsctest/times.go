package smsctest

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"sync"
	"time"
)

// timeline writes Config.TimesTo.
type timeline struct {
	later func(flush func()) // schedules a flush

	mu    sync.Mutex
	w     *bufio.Writer // guarded by mu
	line  []byte        // guarded by mu
	dirty bool          // guarded by mu; a flush is scheduled
	err   error         // guarded by mu; the first
}

func newTimeline(w io.Writer, later func(func())) *timeline {
	return &timeline{later: later, w: bufio.NewWriterSize(w, 256<<10)}
}

func (t *timeline) submits(all []*Submit) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range all {
		_, payload := m.UserData()
		word, _, _ := bytes.Cut(payload, []byte(" "))
		t.begin('s', m.Time)
		t.end(append(t.line, word...))
	}
}

func (t *timeline) delivery(at time.Time, messageID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begin('r', at)
	t.end(append(t.line, messageID...))
}

// begin begins a line; it is called with t.mu held.
func (t *timeline) begin(event byte, at time.Time) {
	t.line = append(t.line[:0], event, ' ')
	t.line = strconv.AppendInt(t.line, at.UnixNano(), 10)
	t.line = append(t.line, ' ')
}

// end writes a line; it is called with t.mu held.
func (t *timeline) end(line []byte) {
	t.line = append(line, '\n')
	if _, err := t.w.Write(t.line); err != nil && t.err == nil {
		t.err = err
	}
	if !t.dirty {
		t.dirty = true
		t.later(func() { _ = t.flush() })
	}
}

// flush returns the first error that writing met.
func (t *timeline) flush() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dirty = false
	if err := t.w.Flush(); err != nil && t.err == nil {
		t.err = err
	}
	return t.err
}
