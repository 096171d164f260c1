package receipts

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

func TestAReferenceUsedAgainMakesAnotherMessage(t *testing.T) {
	t.Parallel()
	srv := start(t)
	sender := func(m *sms.Message, from string) *sms.Message { m.Source.Addr = from; return m }
	recipient := func(m *sms.Message, to string) *sms.Message { m.Destination.Addr = to; return m }
	for name, tc := range map[string]struct {
		parts []*sms.Message
		want  []string
	}{
		"by the same sender, afterwards": {
			[]*sms.Message{udh8(7, 2, 1, 0, "a1"), udh8(7, 2, 2, 0, "a2"), udh8(7, 2, 1, 0, "b1"), udh8(7, 2, 2, 0, "b2")},
			[]string{`2/2 "a1a2"`, `2/2 "b1b2"`},
		},
		"by the same sender, afterwards, beginning alike": {
			[]*sms.Message{udh8(7, 2, 1, 0, "Hello! "), udh8(7, 2, 2, 0, "a"), udh8(7, 2, 1, 0, "Hello! "), udh8(7, 2, 2, 0, "b")},
			[]string{`2/2 "Hello! a"`, `2/2 "Hello! b"`},
		},
		"by the same sender, afterwards, ending alike": {
			[]*sms.Message{udh8(7, 2, 1, 0, "a"), udh8(7, 2, 2, 0, " Bye"), udh8(7, 2, 1, 0, "b"), udh8(7, 2, 2, 0, " Bye")},
			[]string{`2/2 "a Bye"`, `2/2 "b Bye"`},
		},
		"by the same sender, in turns": {
			[]*sms.Message{udh8(7, 2, 1, 0, "a1"), udh8(7, 2, 1, 0, "b1"), udh8(7, 2, 2, 0, "a2"), udh8(7, 2, 2, 0, "b2")},
			[]string{`2/2 "a1a2"`, `2/2 "b1b2"`},
		},
		"by another sender": {
			[]*sms.Message{udh8(7, 2, 1, 0, "a1"), sender(udh8(7, 2, 2, 0, "b2"), "447700900124"), sender(udh8(7, 2, 1, 0, "b1"), "447700900124"), udh8(7, 2, 2, 0, "a2")},
			[]string{`2/2 "a1a2"`, `2/2 "b1b2"`},
		},
		"to another number": {
			[]*sms.Message{udh8(7, 2, 1, 0, "a1"), recipient(udh8(7, 2, 2, 0, "b2"), "15550101"), recipient(udh8(7, 2, 1, 0, "b1"), "15550101"), udh8(7, 2, 2, 0, "a2")},
			[]string{`2/2 "a1a2"`, `2/2 "b1b2"`},
		},
		"with another number of parts": {
			[]*sms.Message{udh8(7, 2, 1, 0, "a1"), udh8(7, 3, 1, 0, "b1"), udh8(7, 3, 2, 0, "b2"), udh8(7, 2, 2, 0, "a2"), udh8(7, 3, 3, 0, "b3")},
			[]string{`2/2 "a1a2"`, `3/3 "b1b2b3"`},
		},
		"in another scheme": {
			[]*sms.Message{udh8(7, 2, 1, 0, "a1"), udh16(7, 2, 2, 0, "b2"), sarTLVs(7, 2, 1, 0, "c1"), udh8(7, 2, 2, 0, "a2"), sarTLVs(7, 2, 2, 0, "c2"), udh16(7, 2, 1, 0, "b1")},
			[]string{`2/2 "a1a2"`, `2/2 "b1b2"`, `2/2 "c1c2"`},
		},
		"only the sender's plus differs": {
			[]*sms.Message{udh8(7, 2, 1, 0, "a1"), sender(udh8(7, 2, 2, 0, "a2"), "+447700900123")},
			[]string{`2/2 "a1a2"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, pub := newDesk(t, srv.Addr, withPrefix(t))
			for _, m := range tc.parts {
				deliver(t, d, m, statusOK)
			}
			if diff := cmp.Diff(tc.want, summarise(pub.listInbound())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			nothingWaits(t, d)
		})
	}
}

func TestPartsThatCannotBeAreMessagesByThemselves(t *testing.T) {
	t.Parallel()
	srv := start(t)
	header := func(udh, octets string) *sms.Message {
		m := mo(0, udh+octets)
		m.ESMClass = sms.ESMClassUDHI
		return m
	}
	badSAR := sarTLVs(7, 2, 1, 0, "hi")
	badSAR.TLVs[1].Value = []byte{0, 2}
	for name, m := range map[string]*sms.Message{
		"no parts in all":                        udh8(7, 0, 0, 0, "hi"),
		"a number of 0":                          udh8(7, 2, 0, 0, "hi"),
		"a number above the total":               udh8(7, 2, 3, 0, "hi"),
		"one of one":                             udh8(7, 1, 1, 0, "hi"),
		"sar parameters with a number above all": sarTLVs(7, 2, 3, 0, "hi"),
		"sar parameters of another size":         badSAR,
		"an element that is too short":           header("\x04\x00\x02\x07\x02", "hi"),
		"an element of the other width":          header("\x06\x00\x04\x07\x07\x02\x01", "hi"),
		"16 bits with no parts in all, then 8":   header("\x0b\x00\x03\x07\x00\x00\x08\x04\x00\x07\x00\x00", "hi"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, pub := newDesk(t, srv.Addr, withPrefix(t))
			deliver(t, d, m, statusOK)
			all := pub.listInbound()
			if len(all) != 1 || all[0].Text != "hi" || all[0].PartsTotal != 0 || all[0].Reference != nil {
				t.Errorf("published %+v, want the text hi by itself", all)
			}
			if keys := must(d.store.client.Keys(t.Context(), d.cfg.Prefix+":*").Result())(t); len(keys) != 0 {
				t.Errorf("keys %v", keys)
			}
		})
	}
}

func TestOfTwoElementsTheLastPossibleOneCounts(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]concat{
		"\x00\x03\x07\x02\x01\x08\x04\x01\x02\x03\x02": {concat16, 0x102, 3, 2},
		"\x00\x03\x07\x02\x01\x08\x04\x01\x02\x03\x04": {concat8, 7, 2, 1},
		"\x05\x04\x0b\x84\x23\xf0\x00\x03\x09\xff\xff": {concat8, 9, 255, 255},
	} {
		if got, ok := headerConcat([]byte(header)); !ok || got != want {
			t.Errorf("%x: %+v, want %+v", header, got, want)
		}
	}
}

func TestWhatWaitsForPartsIsBounded(t *testing.T) {
	t.Parallel()
	srv := start(t)
	d, pub := newDesk(t, srv.Addr, nil)
	for i := range maxGenerations + 3 {
		deliver(t, d, udh8(7, 2, 1, 0, fmt.Sprint("n ", i)), statusOK)
	}
	if n := must(d.store.client.ZCard(t.Context(), d.keys.joinDue("acme")).Result())(t); n != maxGenerations {
		t.Errorf("%d wait, want %d", n, maxGenerations)
	}
	if got := summarise(pub.listInbound()); len(got) != 3 || got[0] != fmt.Sprintf(`1/2 "n %d" without [2]`, maxGenerations) {
		t.Errorf("published %v, want what is above", got)
	}
	// All that are published are forgotten one by one as more come.
	for i := range 2 * maxGenerations {
		deliver(t, d, udh8(8, 2, 1, 0, fmt.Sprint("m ", i)), statusOK)
		deliver(t, d, udh8(8, 2, 2, 0, fmt.Sprint(" m ", i)), statusOK)
	}
	if got := len(pub.listInbound()); got != 3+2*maxGenerations {
		t.Errorf("%d published, want %d", got, 3+2*maxGenerations)
	}
	key := d.keys.joining("acme", joinSet(concat{concat8, 8, 2, 1}, &inboundPart{From: "447700900123", To: "15550100"}))
	if n := must(d.store.client.HLen(t.Context(), key).Result())(t); n == 0 || n > 3+6*maxGenerations {
		t.Errorf("%d fields are kept, want 6 for each of %d messages at most", n, maxGenerations)
	}
}
