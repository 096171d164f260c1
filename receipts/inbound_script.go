package receipts

// The scripts that join inbound messages. KEYS are always a set and the due
// index. A set is a hash of everything that one sender sent to one number with
// one reference and number of parts. References are few, so it may hold several messages, its
// generations, numbered as they began; fields of one begin with its number:
//
//	state  o takes parts, x is closed and to be published, d was published
//	at     when it began, from d when it was published, in Unix ms
//	of     the published generation that all its parts repeat so far, or 0
//	count  of parts
//	1…     a digest and the part; from d the digest alone
//
// What is o or x is in the due index too.
const joinPrelude = `
local key, due = KEYS[1], KEYS[2]
local function get(g, field) return redis.call('HGET', key, string.format('%d.%s', g, field)) end
local function set(g, field, v) redis.call('HSET', key, string.format('%d.%s', g, field), v) end
local first, last, total = 1, 0, 0
local function load()
  local v = redis.call('HMGET', key, 'first', 'last', 'total')
  if v[1] then first, last, total = tonumber(v[1]), tonumber(v[2]), tonumber(v[3]) end
end
local function fields(g)
  local all = {}
  for i = 1, total do all[i] = string.format('%d.%d', g, i) end
  return all
end
local function drop(g)
  redis.call('HDEL', key, g .. '.state', g .. '.at', g .. '.of', g .. '.count', unpack(fields(g)))
end
local function rest(window)
  for g = first, last do
    local state = get(g, 'state')
    if state == 'o' or state == 'x' then return end
  end
  redis.call('PEXPIRE', key, window)
end
local function closed(g)
  return {'close', g, get(g, 'at'), total, redis.call('HMGET', key, unpack(fields(g)))}
end
`

var (
	// addPartScript: ARGV number, total, digest, part, now, due, due once closed,
	// TTL, window, name of the set, most generations, most in the index; times
	// in Unix ms, durations in ms.
	//
	// Answers close and the parts when the message is to be published, wait
	// when it is not, repeat when it was before, and full when it was not kept.
	//
	// A part that a published message had may be a repeat, or begin another
	// like it: it goes into a generation, which is a repeat when nothing in it
	// is new.
	addPartScript = newScript(joinPrelude + `
local number, digest, now, window, name = ARGV[1], ARGV[3], tonumber(ARGV[5]), tonumber(ARGV[9]), ARGV[10]
load()
total = tonumber(ARGV[2])
while first <= last do
  local state = get(first, 'state')
  if state == 'o' or state == 'x' then break end
  if state and tonumber(get(first, 'at')) + window > now and last - first + 1 < tonumber(ARGV[11]) then break end
  if state then drop(first) end
  first = first + 1
end
local into, like, repeats
for g = first, last do
  local state, had = get(g, 'state'), get(g, number)
  local same = had and string.sub(had, 1, #digest) == digest
  if state == 'd' then
    if same and tonumber(get(g, 'at')) + window > now then repeats = repeats or g end
  elseif state == 'x' and same then
    return closed(g)
  elseif state == 'o' and same then
    return {'wait'}
  elseif state == 'o' and not had then
    into = into or g
    if repeats and tonumber(get(g, 'of')) == repeats then like = like or g end
  end
end
into, repeats = like or into, repeats or 0
if not into then
  if last - first + 1 >= tonumber(ARGV[11]) or redis.call('ZCARD', due) >= tonumber(ARGV[12]) then return {'full'} end
  last = last + 1
  into = last
  redis.call('HSET', key, 'first', first, 'last', last, 'total', total)
  set(into, 'state', 'o')
  set(into, 'at', ARGV[5])
  set(into, 'of', repeats)
  redis.call('ZADD', due, ARGV[6], name .. ' ' .. into)
elseif tonumber(get(into, 'of')) ~= repeats then
  set(into, 'of', 0)
end
set(into, number, digest .. ARGV[4])
redis.call('PEXPIRE', key, ARGV[8])
redis.call('PEXPIRE', due, 2 * ARGV[8])
if redis.call('HINCRBY', key, into .. '.count', 1) < total then return {'wait'} end
if tonumber(get(into, 'of')) > 0 then
  drop(into)
  redis.call('ZREM', due, name .. ' ' .. into)
  rest(window)
  return {'repeat'}
end
set(into, 'state', 'x')
redis.call('ZADD', due, ARGV[7], name .. ' ' .. into)
return closed(into)`)

	// closeScript: ARGV generation, as of, due again, window, its name in the index.
	// Answers as addPartScript, wait when somebody else has it in hand or it is gone.
	closeScript = newScript(joinPrelude + `
local g, name = tonumber(ARGV[1]), ARGV[5]
load()
local state = get(g, 'state')
if state ~= 'o' and state ~= 'x' then
  redis.call('ZREM', due, name)
  return {'wait'}
end
local at = redis.call('ZSCORE', due, name)
if at and tonumber(at) > tonumber(ARGV[2]) then return {'wait'} end
if state == 'o' and tonumber(get(g, 'of')) > 0 then
  drop(g)
  redis.call('ZREM', due, name)
  rest(ARGV[4])
  return {'repeat'}
end
set(g, 'state', 'x')
redis.call('ZADD', due, ARGV[3], name)
return closed(g)`)

	// publishedScript: ARGV generation, when it began, now, window, its name in the index, size of a digest.
	// Answers 1 to the first that has published it.
	publishedScript = newScript(joinPrelude + `
local g = tonumber(ARGV[1])
load()
if get(g, 'state') ~= 'x' or get(g, 'at') ~= ARGV[2] then return 0 end
set(g, 'state', 'd')
set(g, 'at', ARGV[3])
for _, field in ipairs(fields(g)) do
  local v = redis.call('HGET', key, field)
  if v then redis.call('HSET', key, field, string.sub(v, 1, tonumber(ARGV[6]))) end
end
redis.call('ZREM', due, ARGV[5])
rest(ARGV[4])
return 1`)
)
