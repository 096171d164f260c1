package ratelimit

import "github.com/redis/go-redis/v9"

// fleetScript keeps the tokens of one route, and what throttling has left of its
// rate, on Redis time. It may run twice: what is granted twice is lost.
//
// KEYS the route's state (a hash), its workers (a sorted set, by when they last
// asked). ARGV worker, configured rate, terms' rate, terms' capacity, floor,
// then of this call: tokens that are of use at least, that jobs wait for, that may be
// wanted as well; horizon, period (µs), standstill (µs; below 0 means none, see
// below); messages accepted, in how many µs, throttled, the highest
// congestion_state (-1 for none), the cut that these reports are of; how long a token must be
// good for when it is granted (µs); how long
// to keep the hash (s); when the worker believes that it is (µs, 0 for no idea); and in tests the time (µs).
//
// The place of the next token on the timeline is tat. Where it is before now, so
// many tokens are there, up to the capacity; where it is after now, so many are
// lent. A worker is lent its share: a period's worth, divided by the workers
// that got too little in the last 120 ms or still hold some of it, or what there is up to the
// horizon when it is alone. So the line is about a horizon long, and never more
// than a quarter longer, but for one token of each worker, up to eight and a second. An unknown route is as if all were lent, and so is one
// whose master is another, told by its replication id: the last leases may have been lost with
// the old one. A standstill is asked for by a worker that comes back after Redis
// was away: nothing that came together meanwhile is given out, and with a time above 0
// nothing at all until it is over, since others may still take what they are
// allowed without Redis.
//
// The rate is adapted by what the whole fleet reports: see adapt.
//
// Answers the time, tokens granted, where they begin, in µs from now, the
// rate, the capacity, how long to wait if there are none (µs), the effective rate
// (0 while nothing but the configuration limits it), whether there is a limit at all, why, the
// cut, and the number of workers.
var fleetScript = redis.NewScript(`
local key, members = KEYS[1], KEYS[2]
local worker = ARGV[1]
local conf, rate, cap, floor = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local least, need, extra = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local horizon, period, still = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local grace, sent, now = tonumber(ARGV[17]), tonumber(ARGV[19]), tonumber(ARGV[20])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
end
local S = 1000000
local info = redis.pcall('INFO', 'replication')
local master = type(info) == 'string' and string.match(info, 'master_replid:(%x+)') or ''
-- Redis stood still with the call before it, or the worker did.
if still < 0 and sent > 0 and now - sent > 50000 then still = 0 end

local v = redis.call('HMGET', key, 'tat', 'still', 'short', 'rate', 'top', 'grown', 'cut', 'cuts', 'noise', 'pause', 'until', 'began', 'first', 'taken', 'refused', 'why', 'was', 'best', 'ref', 'master')
local function num(i) return tonumber(v[i]) or 0 end
local tat, stood, short = tonumber(v[1]), num(2), num(3)
local e, top, grown, cut, cuts, noise = num(4), num(5), num(6), num(7), num(8), num(9)
local pause, untl, began, first, taken, refused = num(10), num(11), num(12), num(13), num(14), num(15)
local why, was, best, ref = v[16] or '', num(17), num(18), num(19)
if untl > now + 40 * S then untl = now end
if grown > now + 40 * S then grown = now end
if cut > now + 2 * S then cut = now end
if first > now or began > now then began, first, taken, refused = 0, 0, 0, 0 end

local granted, start, wait = 0, 0, 0
local function us(n) return string.format('%.0f', n) end
local function real(n) return string.format('%.9g', n) end
local function fresh() began, first, taken, refused = 0, 0, 0, 0 end
` + adaptLua + `
-- The present rate; 0 for none.
local r = e
if conf > 0 and (r == 0 or r > rate) then r = rate end

if r > 0 then
  if conf == 0 then
    cap = 1 + r / 20
  elseif r < rate then -- a little more at once is less in a second all the same
    cap = math.max(cap * r / rate, math.min(1 + r / 20, cap + rate - r))
  end
  cap = math.max(cap, least)
  -- What may be lent at most, whoever asks.
  local most = math.max(1.25 * horizon, (cap + math.min(7, r)) / r * S)
  if not tat or v[20] ~= master or tat > now + 2 * most + 2 * S then -- or the clock went back
    tat = now + most
    redis.call('DEL', members)
  end
  if still >= 0 then
    tat = math.max(tat, now)
    if still > 0 and (now > stood + 2 * S or stood > now + 2 * S) then stood = now + still end
    if stood < now + 2 * S then tat = math.max(tat, stood) end
  end
  tat = math.max(tat, untl, now - cap / r * S + grace)
  redis.call('ZREMRANGEBYSCORE', members, '-inf', us(now - 120000))
  local asking = redis.call('ZCARD', members)
  if need > 0 then
    redis.call('ZADD', members, us(now), worker)
    redis.call('EXPIRE', members, 60)
    asking = redis.call('ZCARD', members)
  end
  local lent = (tat - now) * r / S
  local room = math.max(r * horizon / S, least) - lent
  local more = math.max(r * horizon * 1.25 / S, least + math.min(asking - 1, 7, r)) - lent
  if need > 0 then
    local share = asking > 1 and math.max(least, math.ceil(r * period / S / asking)) or room
    granted = math.floor(math.min(need, math.max(share, least), more) + 0.0001)
    if granted < least then
      granted = 0
      wait = math.max((least - more) / r * S, 1000)
    end
    if granted < need then short = now else redis.call('ZREM', members, worker) end
  elseif now > short + 120000 or short > now then
    granted = math.max(0, math.floor(math.min(extra, room / 2)))
  end
  start = tat - now
  tat = tat + granted / r * S
  if granted > 0 and granted < need and tat > now then redis.call('ZADD', members, us(tat), worker) end
end

redis.call('HSET', key, 'tat', us(tat or now), 'still', us(stood), 'short', us(short), 'rate', real(e), 'top', real(top), 'grown', us(grown), 'cut', us(cut), 'cuts', us(cuts), 'noise', real(noise),
  'pause', us(pause), 'until', us(untl), 'began', us(began), 'first', us(first), 'taken', real(taken), 'refused', real(refused), 'why', why, 'was', real(was), 'best', real(best), 'ref', real(ref), 'master', master)
redis.call('EXPIRE', key, ARGV[18])
return {us(now), us(granted), us(start), real(r), real(cap), us(wait), real(e), (observing or r > 0) and '1' or '0', why, us(cut), us(redis.call('ZCARD', members))}`)

// adaptLua is the part of fleetScript that adapts the rate.
//
// What workers report is added up over a window. When too much of it was
// throttled the rate is cut to 96 % of what the SMSC accepted meanwhile, which
// is top: right at once, however far the configured rate is off. From there it
// grows by 5 % of top a second up to nine tenths of it, by 1.5 % up to a little
// above, where the limit is met again if it still stands, and beyond that by
// 7 % a second of its own, until it is the configured one or, where none is,
// five times the top. Where nothing got through there is a pause of 1 s, doubled
// up to 30 s, and half the rate.
//
// The first cut of all is made of little knowledge: after it the rate grows by
// half a second until it is cut again. So it does while it is far below what was
// found before, and a later cut takes half of the rate at most: a fleet that
// stood still for a moment must not take that for the SMSC's limit.
//
// Too much is a tenth and at least ten messages; while a cut is in force a
// twenty-fifth and three. An SMSC may throttle for reasons that a slower rate
// does not change, a recipient's full queue: where half of the rate is left, and
// less gets through in proportion, it is taken for noise, which is forgotten
// over minutes, and the cuts for futile. A limit is known by as much getting
// through of half the rate; a share that rises in spite of a cut is another
// limit, which is judged anew. What was sent before a cut, or with what was
// lent before it, says nothing about it.
const adaptLua = `
local observing = false
local reported = tonumber(ARGV[12]) + tonumber(ARGV[14])
if math.abs(tonumber(ARGV[16]) - cut) < 1 and reported > 0 then
  local over = math.min(math.max(tonumber(ARGV[13]), 1000), S)
  local accepted, throttled = tonumber(ARGV[12]), tonumber(ARGV[14])
  if began == 0 or now - began > 6 * S then
    first, began, taken, refused = now, now - over, 0, 0
    if conf == 0 and e == 0 then began = now - S end
  end
  if conf == 0 and e == 0 then
    over = math.max(over, S / 4)
    accepted, throttled = accepted * S / over, throttled * S / over
  end
  taken, refused = taken + accepted, refused + throttled
end

local function cutTo(rate, base, reason)
  e = math.max(floor, rate)
  if conf > 0 then e = math.min(e, conf) end
  top, ref, why, cut, grown = base, math.max(base, 0.85 * ref), reason, now, now
  fresh()
end

local elapsed, all = now - began, taken + refused
if began > 0 and all > 0 then
  local share, accepted = refused / all, taken * S / elapsed
  local usual = 1.5 * noise + 2 * math.sqrt(noise / all)
  if e > 0 then
    if (elapsed >= S / 2 and (all >= 20 or taken == 0 and refused >= 2)) or elapsed >= 4 * S then
      if taken == 0 and refused >= 2 then
        pause = math.min(math.max(S, 2 * pause), 30 * S)
        untl = now + pause
        cutTo(e / 2, top, 'throttled')
        grown = untl
      elseif refused >= 3 and share > 0.04 + usual then
        pause = 0
        if cuts > 0 and e < 0.5 * best and share < 0.5 and (1 - share) * e < 0.75 * (1 - was) * best then
          noise, cuts, top = math.max(noise, share), 0, math.max(best, top)
          fresh()
        else
          if cuts < 1 or share > 1.2 * was + 0.02 then best, was = e, share end
          cuts = math.max(cuts, 0) + 1
          -- Workers that stood still accepted little and then too much at once.
          accepted = math.max(accepted, (share < 0.3 and 0.8 or 0.5) * e)
          cutTo(math.min(0.96 * accepted, 0.98 * e), accepted, 'throttled')
        end
      else
        pause, cuts, noise = 0, math.min(cuts, 0), noise * 0.998
        fresh()
      end
    end
  elseif refused >= 10 and share > 0.1 + usual then
    if now - first >= S / 4 then
      if taken == 0 then
        pause, untl = S, now + S
        local base = conf > 0 and conf or refused * S / elapsed
        cutTo(base / 2, base, 'throttled')
        grown = untl
      else
        cutTo(0.95 * accepted, accepted, 'throttled')
        cuts = -1
      end
    else
      observing, wait = true, S / 4 - (now - first)
    end
  elseif now - first >= S then
    noise = noise * 0.998
    fresh()
  end
end

local congestion = tonumber(ARGV[15])
if congestion >= 90 and now - cut >= S then
  local base = e > 0 and e or conf
  if began > 0 and elapsed >= S / 5 and taken > 0 then base = taken * S / elapsed end
  if e > 0 then base = math.max(base, 0.8 * e) end
  if base > 0 then
    cutTo(base * (congestion >= 100 and 0.5 or 0.8), base, 'congestion')
    ref = 0
  end
elseif congestion >= 80 then
  grown = math.max(grown, now + S)
end

if e > 0 and now > grown then
  local s = math.min((now - grown) / S, 30)
  grown = now
  if cuts < 0 or e < 0.85 * ref then
    e = e * 1.5 ^ s
  elseif e < 0.9 * top then
    e = math.min(e + 0.05 * top * s, 0.9 * top + 0.015 * top * s)
  elseif e < 1.05 * top then
    e = e + 0.015 * top * s
  else
    e = e * 1.07 ^ s
  end
  if conf > 0 and e >= rate or conf == 0 and e >= (cuts < 0 and 100 or 5) * math.max(top, ref) then
    e, why, cuts, ref = 0, '', 0, 0
  end
end
`
