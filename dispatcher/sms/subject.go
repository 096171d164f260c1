package sms

// Origin is where a job came from: its subject names the route, the lane and
// the producer.
type Origin struct {
	Route    string
	Lane     Lane
	Producer string
}
