package ratelimit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Pauses are the routes and lanes that operators have paused, for all workers.
// They stand in one Redis hash, by Redis time, until they are resumed or over.
// A Redis that loses its data loses them.
type Pauses struct {
	client redis.UniversalClient
	key    string
}

// Pause is one route, or one lane of it, that is to send nothing new.
type Pause struct {
	Route  string
	Lane   string        // empty: all lanes
	By     string        // who paused it
	Reason string        // may be empty
	Since  time.Time     // Redis time
	Until  time.Time     // Redis time; zero: until it is resumed
	Left   time.Duration // to Until when Redis was asked; 0: until it is resumed
}

// NewPauses returns those under the prefix of the Redis keys; empty means "sw".
// It does no I/O.
func NewPauses(client redis.UniversalClient, prefix string) *Pauses {
	if prefix == "" {
		prefix = "sw"
	}
	return &Pauses{client: client, key: prefix + ":pauses"}
}

// note is what the hash holds of a pause, under its route, or route/lane.
type note struct {
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
}

// pausesLua begins each script: the time, and what is over.
//
// A value is "since until note", in Unix ms, until 0 for open end, note in JSON.
const pausesLua = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local all = redis.call('HGETALL', KEYS[1])
local function over(v)
  local ends = tonumber(string.match(v, '^%d+ (%d+) '))
  return ends and ends > 0 and ends <= now
end
`

// pauseEndLua drops what is over, and lets the hash end with the last pause.
const pauseEndLua = `
local last = 0
all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if over(all[i + 1]) then
    redis.call('HDEL', KEYS[1], all[i])
  elseif last >= 0 then
    local ends = tonumber(string.match(all[i + 1], '^%d+ (%d+) ')) or 0
    last = ends == 0 and -1 or math.max(last, ends)
  end
end
if last > 0 then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', last - now + 60000))
else
  redis.call('PERSIST', KEYS[1])
end
`

var (
	// listPauses answers the time and the hash. It writes nothing, so it works
	// where Redis takes no writes.
	listPauses = redis.NewScript(pausesLua + `
local found = {string.format('%.0f', now)}
for i = 1, #all, 2 do
  if not over(all[i + 1]) then
    found[#found + 1] = all[i]
    found[#found + 1] = all[i + 1]
  end
end
return found`)

	// setPause takes the field, the duration in ms (0: open end) and the note.
	setPause = redis.NewScript(pausesLua + `
local ends = 0
if tonumber(ARGV[2]) > 0 then ends = now + ARGV[2] end
local value = string.format('%.0f %.0f ', now, ends) .. ARGV[3]
redis.call('HSET', KEYS[1], ARGV[1], value)
` + pauseEndLua + `
return {string.format('%.0f', now), ARGV[1], value}`)

	// endPauses takes fields, removes them and answers those that there were.
	endPauses = redis.NewScript(pausesLua + `
local found = {string.format('%.0f', now)}
for i = 1, #ARGV do
  local v = redis.call('HGET', KEYS[1], ARGV[i])
  if v and not over(v) then
    found[#found + 1] = ARGV[i]
    found[#found + 1] = v
  end
  redis.call('HDEL', KEYS[1], ARGV[i])
end
` + pauseEndLua + `
return found`)
)

// List returns all pauses that hold now, by route and lane: one command.
func (p *Pauses) List(ctx context.Context) ([]Pause, error) {
	return p.run(ctx, "list pauses", listPauses)
}

// Set pauses a route or lane for d of Redis time, or with d 0 until it is
// resumed, in place of an earlier pause of the same.
func (p *Pauses) Set(ctx context.Context, what Pause, d time.Duration) (Pause, error) {
	text, err := json.Marshal(note{By: what.By, Reason: what.Reason})
	if err != nil {
		return Pause{}, fmt.Errorf("pause: %w", err)
	}
	if d > 0 {
		d = max(d, time.Millisecond)
	}
	set, err := p.run(ctx, "pause", setPause, pauseField(what.Route, what.Lane), d.Milliseconds(), string(text))
	if err != nil {
		return Pause{}, err
	}
	return set[0], nil
}

// End resumes one lane, or with lane empty the route and each of lanes, and
// returns what was paused.
func (p *Pauses) End(ctx context.Context, route, lane string, lanes ...string) ([]Pause, error) {
	fields := []any{pauseField(route, lane)}
	if lane == "" {
		for _, l := range lanes {
			fields = append(fields, pauseField(route, l))
		}
	}
	return p.run(ctx, "resume", endPauses, fields...)
}

func pauseField(route, lane string) string {
	if lane == "" {
		return route
	}
	return route + "/" + lane
}

func (p *Pauses) run(ctx context.Context, step string, script *redis.Script, args ...any) ([]Pause, error) {
	answer, err := script.Run(ctx, p.client, []string{p.key}, args...).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", step, err)
	}
	found, err := readPauses(answer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", step, err)
	}
	return found, nil
}

var errForeignPause = errors.New("redis holds a pause that this version cannot read")

// readPauses reads the time and pairs of field and value.
func readPauses(answer []string) ([]Pause, error) {
	if len(answer)%2 == 0 {
		return nil, errForeignPause
	}
	now, err := strconv.ParseInt(answer[0], 10, 64)
	if err != nil {
		return nil, errForeignPause
	}
	var all []Pause
	for i := 1; i < len(answer); i += 2 {
		words := strings.SplitN(answer[i+1], " ", 3)
		if len(words) != 3 {
			return nil, errForeignPause
		}
		since, err1 := strconv.ParseInt(words[0], 10, 64)
		until, err2 := strconv.ParseInt(words[1], 10, 64)
		var n note
		if err := errors.Join(err1, err2, json.Unmarshal([]byte(words[2]), &n)); err != nil {
			return nil, errForeignPause
		}
		p := Pause{By: n.By, Reason: n.Reason, Since: time.UnixMilli(since).UTC()}
		p.Route, p.Lane, _ = strings.Cut(answer[i], "/")
		if until > 0 {
			p.Until, p.Left = time.UnixMilli(until).UTC(), time.Duration(until-now)*time.Millisecond
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Pause) int {
		return strings.Compare(pauseField(a.Route, a.Lane), pauseField(b.Route, b.Lane))
	})
	return all, nil
}
