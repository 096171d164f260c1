package app

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/shortwire-sms/shortwire/binds"
	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// explain says, with the numbers behind it, why the limit of a route is what
// it is, and what to do about it; nothing when nothing need be done.
func explain(s *Status, r *RouteStatus) (why, advice string) {
	switch r.Limit {
	case dispatcher.LimitNone:
		return explainNone(r), ""
	case dispatcher.LimitRate:
		return explainRate(r), "ask the SMSC for a higher rate and raise rate, or add a route; with bind_rate, more binds help too"
	case dispatcher.LimitThrottled:
		return fmt.Sprintf("the SMSC asks to slow down (%s): the fleet may send %.0f/s of %s", r.Rate.Reason, r.Rate.Effective, perSecond(r.RateAllowed)),
			"ask the SMSC which rate the account has, and set rate to it"
	case dispatcher.LimitRedis:
		return explainRedis(s, r)
	case dispatcher.LimitNATS:
		if !s.NATS.OK {
			return "NATS: " + s.NATS.Error + "; outcomes wait in hand, and no jobs come", "check the server, its streams' limits and disk: shortwire check --connect"
		}
		return fmt.Sprintf("%d publishes await the server's acknowledgement; %d jobs in hand", s.NATS.Waiting, inFlight(r)),
			"look at the server's disk and network; replicas cost a round trip among servers"
	case dispatcher.LimitCPU:
		return explainCPU(s.CPU), "give it more processors, or start more workers"
	case dispatcher.LimitWindow:
		return explainWindow(r), "raise window or binds as far as the SMSC allows, or ask it why it answers slowly"
	case dispatcher.LimitNoBind:
		return explainNoBind(r)
	case dispatcher.LimitStandby:
		return explainStandby(r.Slots)
	case dispatcher.LimitAccount:
		if p := r.Paused; p != nil {
			return fmt.Sprintf("the SMSC refuses the account since %s: %s, %s; a job tries again at %s", clock(p.Since), p.StatusName, binds.Meaning(p.Status), clock(p.Next)),
				"ask the SMSC: credit, permission, contract"
		}
		return "the SMSC refuses the account", "ask the SMSC: credit, permission, contract"
	case dispatcher.LimitPaused:
		return explainPaused(r), "resume it when it may go on"
	}
	return "", ""
}

func explainNone(r *RouteStatus) string {
	n, known := 0, false
	for _, l := range r.Lanes {
		if l.Backlog != nil {
			n, known = n+*l.Backlog, true
		}
	}
	switch {
	case known && n > 0:
		return fmt.Sprintf("no job waits here; %d are on their way from the server, %d in hand", n, inFlight(r))
	case known:
		return fmt.Sprintf("no job waits; %d in hand", inFlight(r))
	}
	return fmt.Sprintf("no job waits here; %d in hand", inFlight(r))
}

func explainRate(r *RouteStatus) string {
	s := fmt.Sprintf("this worker sends %.0f/s; the fleet may send %s", r.RateUsed, perSecond(cmp.Or(r.Rate.Effective, r.RateAllowed)))
	if r.Rate.Workers > 1 {
		s += fmt.Sprintf(", and %d workers want more than they get", r.Rate.Workers)
	}
	return s
}

func explainRedis(s *Status, r *RouteStatus) (why, advice string) {
	switch {
	case !s.Redis.OK:
		return "Redis " + s.Redis.Error + ": nothing new is submitted, nothing is lost", "check the server, and the way to it"
	case r.Rate.Error != "":
		return "no tokens for want of Redis: " + r.Rate.Error, "check the server, and the way to it; rate_without_redis lets a worker go on alone"
	}
	return fmt.Sprintf("%d commands wait for Redis; %d jobs in hand", s.Redis.Waiting, inFlight(r)),
		"look at the server's processor, its disk (appendfsync) and the network"
}

func explainStandby(q *SlotStatus) (why, advice string) {
	switch {
	case q == nil:
		return "other workers have the binds", ""
	case q.Error != "":
		return "this worker's lease on a bind is over, and Redis does not renew it: " + q.Error, "check the server, and the way to it"
	case q.Frozen > 0:
		return fmt.Sprintf("Redis was replaced or restarted and may have lost who has binds: it leases none for %.0f s, or until all workers have said", math.Ceil(q.Frozen)),
			"nothing; if it happens again, see why Redis does"
	}
	return fmt.Sprintf("other workers have the %d of %d binds that the account may have; %d workers want some", q.Granted, q.Limit, q.Workers),
		"nothing, this worker takes over when one ends; or raise max_binds if the account may have more"
}

func explainCPU(c *CPUStatus) string {
	if c == nil {
		return "the processors are busy"
	}
	s := fmt.Sprintf("this process uses %.1f of %d processors", c.Used, c.Of)
	if c.Machine != nil {
		s += fmt.Sprintf("; the machine is %.0f %% busy", 100**c.Machine)
	}
	return s
}

func explainWindow(r *RouteStatus) string {
	used, slots, n := 0, 0, 0
	for _, b := range r.Binds {
		if b.State == string(binds.StateBound) && b.Window > 0 {
			used, slots, n = used+b.InFlight, slots+b.Window, n+1
		}
	}
	s := fmt.Sprintf("%d of %d window slots of %d binds are taken", used, slots, n)
	if p := r.SubmitLatency; p.Count > 0 && p.P50MS > 0 {
		s += fmt.Sprintf("; an answer takes %.0f ms, so they carry about %.0f/s", p.P50MS, float64(slots)*1000/p.P50MS)
	}
	return s
}

func explainNoBind(r *RouteStatus) (why, advice string) {
	states := make(map[string]int)
	var order []string
	last, advice := "", "see the binds' last errors"
	for _, b := range r.Binds {
		if states[b.State]++; states[b.State] == 1 {
			order = append(order, b.State)
		}
		last = cmp.Or(last, b.LastError)
		if b.Hint != "" {
			advice = b.Hint
		}
	}
	for i, state := range order {
		order[i] = fmt.Sprintf("%d %s", states[state], state)
	}
	why = "no bind takes messages: " + strings.Join(order, ", ")
	if last != "" {
		why += "; " + last
	}
	return why, advice
}

func explainPaused(r *RouteStatus) string {
	var all []string
	for _, p := range r.Pauses {
		what := "the route"
		if p.Lane != "" {
			what = "lane " + string(p.Lane)
		}
		s := fmt.Sprintf("%s by %s since %s", what, p.By, clock(p.Since))
		if p.Until != nil {
			s += " until " + clock(*p.Until)
		}
		if p.Reason != "" {
			s += ": " + p.Reason
		}
		all = append(all, s)
	}
	return "paused " + strings.Join(all, "; ")
}

func inFlight(r *RouteStatus) (n int) {
	for _, lane := range sms.Lanes() {
		n += r.Lanes[lane].InFlight
	}
	return n
}

func perSecond(rate float64) string {
	if rate == 0 {
		return "as much as it likes"
	}
	return fmt.Sprintf("%g/s", rate)
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }
