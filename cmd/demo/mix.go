package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// order is a job to publish and what must become of it.
type order struct {
	origin sms.Origin
	id     string
	body   []byte
	want   sms.Kind // its terminal outcome
	parts  int      // submit_sm that the SMSC must accept
}

const (
	route    = "acme"
	producer = "demo"
)

// Destinations: numbers that are reserved for fiction. Some ending make the
// simulator misbehave (smsctest.MagicNumbers).
const (
	plainNumbers    = 400 // +44 7700 900000 to 900399
	refusedNumber   = "+447700900404"
	throttledNumber = "+447700900458"
)

// mix makes n jobs of every sort that the demo shows, in random order.
func mix(n int, r *rand.Rand) []order {
	orders := []order{malformed(), expired(), refused()}
	for i := len(orders); i < n; i++ {
		orders = append(orders, ordinary(i, r))
	}
	r.Shuffle(len(orders), func(i, j int) { orders[i], orders[j] = orders[j], orders[i] })
	return orders
}

// ordinary makes a job that is submitted in the end.
func ordinary(i int, r *rand.Rand) order {
	job := sms.Job{
		ID: fmt.Sprintf("demo-%06d", i),
		To: fmt.Sprintf("+4477009%05d", r.IntN(plainNumbers)),
	}
	lane, parts, body := sms.LaneNormal, 1, ""
	switch r.IntN(20) {
	case 0, 1, 2: // UCS-2 with emoji
		body = fmt.Sprintf("Ваш код %06d 🔐 никому его не сообщайте", r.IntN(1e6))
	case 3, 4: // three parts
		body, parts, lane = strings.Repeat("Terms and conditions apply to order ", 10)+job.ID, 3, sms.LaneBulk
	case 5, 6, 7: // alphanumeric sender
		job.From = "SHORTWIRE"
		body = fmt.Sprintf("Your parcel %s is on its way", job.ID)
	case 8: // the SMSC throttles it once, then takes it
		job.To = throttledNumber
		body = "Reminder for " + job.ID
	default: // a login code
		lane = sms.LaneHigh
		body = fmt.Sprintf("%06d is your login code for %s", r.IntN(1e6), job.ID)
	}
	job.Text = &body
	job.Meta = json.RawMessage(fmt.Sprintf(`{"customer":%d}`, i))
	return order{sms.Origin{Route: route, Lane: lane, Producer: producer}, job.ID, encode(job), sms.KindSubmitted, parts}
}

func malformed() order {
	return order{
		origin: sms.Origin{Route: route, Lane: sms.LaneNormal, Producer: producer},
		id:     "demo-malformed",
		body:   []byte(`{"id":"demo-malformed","to":"not a number","txt":"misspelt field"}`),
		want:   sms.KindFailed,
	}
}

func expired() order {
	body := "too late"
	job := sms.Job{ID: "demo-expired", To: "+447700900001", Text: &body, ExpiresAt: time.Now().Add(-time.Minute)}
	return order{sms.Origin{Route: route, Lane: sms.LaneNormal, Producer: producer}, job.ID, encode(job), sms.KindExpired, 0}
}

func refused() order {
	body := "nobody there"
	job := sms.Job{ID: "demo-refused", To: refusedNumber, Text: &body}
	return order{sms.Origin{Route: route, Lane: sms.LaneNormal, Producer: producer}, job.ID, encode(job), sms.KindFailed, 0}
}

func encode(j sms.Job) []byte {
	b, err := json.Marshal(j)
	if err != nil {
		panic(err) // a job of ours that does not encode is a bug of this file
	}
	return b
}
