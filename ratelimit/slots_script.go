package ratelimit

import "github.com/redis/go-redis/v9"

// slotsScript keeps the bind slots of one route on Redis time.
//
// KEYS the route's hash. ARGV worker, number of the call, slots held, of these
// bound, wanted firmly, wanted, refusals, how long one counts in ms, quota,
// lease in ms, how long the hash is kept in ms, number of the last call that was
// answered.
//
// The hash has a field for each worker, "number granted bound firm wanted
// seen", and some of its own: !server and !frozen, the server that wrote it
// and until when nothing new is granted; "!silent WORKER", the last known call of
// a worker that has not called this server yet; "!new WORKER", when it came; and
// !limit, "slots until for": what the SMSC has taught.
//
// Answers slots, the limit of the fleet, slots granted in it, workers, for
// how many ms nothing new is granted, and in how many ms to ask again, 0 for no
// matter; nothing for a call that a later one has overtaken.
var slotsScript = redis.NewScript(`
local key, me = KEYS[1], ARGV[1]
local call, held, bound, firm, want = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local refused, hold, quota, lease = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local answered = tonumber(ARGV[12])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function text(...) return string.format(...) end

local workers, byname, own, calls = {}, {}, {}, {}
local all = redis.call('HGETALL', key)
for i = 1, #all, 2 do
  local name, v = all[i], all[i + 1]
  if string.sub(name, 1, 1) == '!' then
    own[name] = v
  else
    local c, g, b, f, w, seen = string.match(v, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
    seen = math.min(tonumber(seen or 0), now)
    calls[name] = tonumber(c or 0)
    if name == me or now - seen < lease then
      local r = {name = name, call = tonumber(c or 0), granted = tonumber(g or 0), bound = tonumber(b or 0),
        firm = tonumber(f or 0), want = tonumber(w or 0), idle = now - seen}
      workers[#workers + 1], byname[name] = r, r
    else
      redis.call('HDEL', key, name, '!new ' .. name)
    end
  end
end

-- A server that is not the one that wrote this may have lost what was written
-- last. Until the leases of then have run out, each has what it says it has; or
-- until all who are known of have said so, unless one of them was answered more
-- than is known here. Who is not known of came within what was lost, and got
-- nothing yet: see new.
local server = ''
local ok, info = pcall(redis.call, 'INFO', 'server')
if ok and type(info) == 'string' then server = string.match(info, 'run_id:(%x+)') or '' end
local frozen = tonumber(own['!frozen'])
local function set(field, value)
  own[field] = value
  redis.call('HSET', key, field, value)
end
local function drop(field)
  own[field] = nil
  redis.call('HDEL', key, field)
end
local function silent()
  local fields = {}
  for field in pairs(own) do
    if string.sub(field, 1, 8) == '!silent ' then fields[#fields + 1] = field end
  end
  return fields
end
if not frozen or own['!server'] ~= server then
  frozen = now + lease
  set('!server', server)
  set('!frozen', text('%d', frozen))
  for name, c in pairs(calls) do
    if not own['!silent ' .. name] then set('!silent ' .. name, text('%d', c)) end
  end
end
if frozen > now + lease then -- the clock went back
  frozen = now + lease
  set('!frozen', text('%d', frozen))
end

local mine = byname[me]
if mine and call < mine.call then return {} end
local known = tonumber(own['!silent ' .. me])
if frozen <= now then
  for _, field in ipairs(silent()) do drop(field) end
else
  local field = '!silent ' .. me
  if answered > math.max(known or 0, mine and mine.call or 0) then
    set(field, '-1') -- to the end
  elseif known and known >= 0 then
    drop(field)
    if #silent() == 0 then
      frozen = now
      set('!frozen', text('%d', frozen))
    end
  end
end
local again = mine and call == mine.call
if not mine then
  mine = {name = me}
  workers[#workers + 1] = mine
  if #workers > 1 and not known then set('!new ' .. me, text('%d', now)) end
end
-- Who has come gets nothing before a server that takes over would know of it.
local new, came = 0, tonumber(own['!new ' .. me])
if came then
  if came > now then -- the clock went back
    came = now
    set('!new ' .. me, text('%d', now))
  end
  new = came + math.floor(lease / 3) - now
  if new <= 0 then drop('!new ' .. me) end
end
mine.call, mine.granted, mine.bound, mine.firm, mine.want, mine.idle = call, held, bound, firm, want, 0
table.sort(workers, function(a, b) return a.name < b.name end)

local granted, whole = 0, 0
for _, r in ipairs(workers) do granted, whole = granted + r.granted, whole + r.bound end

-- What the SMSC allows. Those that are bound stay, and one is always tried.
local limit = quota
local learned, till, last = string.match(own['!limit'] or '', '^(%d+) (%d+) (%d+)$')
learned, till, last = tonumber(learned), math.min(tonumber(till or 0), now + tonumber(last or 0)), tonumber(last)
if learned and till > now then limit = math.min(quota, learned) end
if refused > 0 and not again then
  limit = math.max(1, whole, math.min(limit, granted) - refused)
  if till <= now then
    if last and now < till + last then hold = math.min(2 * last, 32 * hold) end
    till, last = now + hold, hold
  end
  redis.call('HSET', key, '!limit', text('%d %d %d', limit, till, last))
end

-- Fair shares: levels are raised evenly up to what is wanted. What remains of
-- an even level stays where it is, so that slots move only to somebody who has
-- two less. Firm wishes come first.
local function fill(wish)
  local function sum(level)
    local s = 0
    for _, r in ipairs(workers) do s = s + math.max(r.share, math.min(r[wish], level)) end
    return s
  end
  if sum(0) > limit then return end
  local low, high = 0, 0
  for _, r in ipairs(workers) do high = math.max(high, r[wish]) end
  while low < high do
    local mid = math.ceil((low + high) / 2)
    if sum(mid) <= limit then low = mid else high = mid - 1 end
  end
  local left = limit - sum(low)
  for _, r in ipairs(workers) do r.share = math.max(r.share, math.min(r[wish], low)) end
  for _, holding in ipairs({true, false}) do
    for _, r in ipairs(workers) do
      if left > 0 and r[wish] > low and r.share == low and (r.granted > low) == holding then
        r.share, left = low + 1, left - 1
      end
    end
  end
end
for _, r in ipairs(workers) do r.share = 0 end
fill('firm')
fill('want')

local slots, free = held, limit - granted
if frozen <= now then
  -- Free slots that those who have less are about to ask for are not taken.
  while new <= 0 and slots < mine.share do
    local kept = 0
    for _, r in ipairs(workers) do
      if r ~= mine and 2 * r.idle < lease then kept = kept + math.max(0, math.min(r.share, slots) - r.granted) end
    end
    if free <= kept then break end
    slots, free = slots + 1, free - 1
  end
  -- One at a time: the others go on sending.
  if held > mine.share then slots = held - 1 end
end
mine.granted = math.max(held, slots)
granted = granted + mine.granted - held

if want == 0 and held == 0 then
  redis.call('HDEL', key, me, '!new ' .. me)
else
  redis.call('HSET', key, me, text('%d %d %d %d %d %d', call, mine.granted, bound, firm, want, now))
end
redis.call('PEXPIRE', key, ARGV[11])
local soon = math.max(0, new)
if frozen > now then soon = math.min(frozen - now, math.floor(lease / 12)) end
return {slots, limit, granted, #workers, math.max(0, frozen - now), soon}
`)
