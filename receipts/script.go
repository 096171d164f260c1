package receipts

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// The scripts. Each touches the keys of one slot and may run twice.
// A job's record begins with a version and a state of one letter each, then
// the token that names its claim, up to a blank; see record.
var (
	// casScript: KEYS record. ARGV expected, new, TTL in ms.
	// Answers nil when the record is the new one, else what it is ("" if gone).
	casScript = newScript(`
local v = redis.call('GET', KEYS[1])
if v == ARGV[1] or v == ARGV[2] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return false
end
return v or ''`)

	// writeScript: KEYS record. ARGV token, new, TTL in ms.
	// Writes unless another claim holds the record, then answers that.
	writeScript = newScript(`
local v = redis.call('GET', KEYS[1])
if v and string.sub(v, 3, 3 + #ARGV[1]) ~= ARGV[1] .. ' ' then return v end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return false`)

	// releaseScript: KEYS record. ARGV token, head of the new record, its parts, TTL in ms.
	// As writeScript, keeps parts that only the record has, and never touches an outcome.
	releaseScript = newScript(`
local v = redis.call('GET', KEYS[1])
local parts = ARGV[3]
if v then
  if string.sub(v, 3, 3 + #ARGV[1]) ~= ARGV[1] .. ' ' or string.sub(v, 2, 2) == 'S' then return v end
  local had = string.match(v, '^%S+ %S+ %S+ %S+ (.*)$')
  if had ~= parts and had ~= '[]' then
    local seen, all = {}, cjson.decode(parts)
    for _, p in ipairs(all) do seen[p.number] = true end
    for _, p in ipairs(cjson.decode(had)) do
      if not seen[p.number] then all[#all + 1] = p end
    end
    table.sort(all, function(a, b) return a.number < b.number end)
    parts = cjson.encode(all)
  end
end
redis.call('SET', KEYS[1], ARGV[2] .. parts, 'PX', ARGV[4])
return false`)

	// lateScript: KEYS record. ARGV part as JSON, its number.
	// Adds the part to a job that has no outcome; the TTL stays.
	lateScript = newScript(`
local v = redis.call('GET', KEYS[1])
if not v or string.sub(v, 1, 1) ~= '1' or string.sub(v, 2, 2) == 'S' then return 0 end
local head, had = string.match(v, '^(%S+ %S+ %S+ %S+ )(.*)$')
if not head or string.find(had, '"number":' .. ARGV[2] .. '[,}]') then return 0 end
local parts = '[' .. ARGV[1] .. ']'
if had ~= '[]' then parts = string.sub(had, 1, -2) .. ',' .. ARGV[1] .. ']' end
redis.call('SET', KEYS[1], head .. parts, 'KEEPTTL')
return 1`)

	// leaseScript: KEYS lease. ARGV incarnation, TTL in ms, 1 to take it from another.
	// Answers 1 when the lease is ours.
	leaseScript = newScript(`
local v = redis.call('GET', KEYS[1])
if v and v ~= ARGV[1] and ARGV[3] ~= '1' then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)

	// epochScript: KEYS epoch. ARGV the latest beat that was answered, Unix ms.
	// Beats, and answers when the ledger began and the beat; see epoch.
	epochScript = newScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local v = redis.call('HMGET', KEYS[1], 'began', 'beat')
local began, beat = tonumber(v[1]), tonumber(v[2])
if not began or not beat or beat < tonumber(ARGV[1]) then began = now end
beat = math.max(now, beat or 0, tonumber(ARGV[1]))
began, beat = string.format('%d', began), string.format('%d', beat)
redis.call('HSET', KEYS[1], 'began', began, 'beat', beat)
return {began, beat}`)

	// replicationScript: KEYS any of the server. Answers its replication id,
	// empty when it does not tell.
	replicationScript = newScript(`
local info = redis.pcall('INFO', 'replication')
return type(info) == 'string' and string.match(info, 'master_replid:(%x+)') or ''`)

	// mastersScript: KEYS epoch. ARGV replication ids.
	// Answers since when each is known, Unix ms. The first are as old as the
	// ledger, later ones are met now.
	mastersScript = newScript(`
local known, first = {}, true
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  known[all[i]] = all[i + 1]
  if string.sub(all[i], 1, 2) == 'm:' then first = false end
end
local t = redis.call('TIME')
local now = string.format('%d', t[1] * 1000 + math.floor(t[2] / 1000))
local since = {}
for i, id in ipairs(ARGV) do
  local at = known['m:' .. id]
  if not at then
    at = first and known.began or now
    redis.call('HSET', KEYS[1], 'm:' .. id, at)
  end
  since[i] = at
end
return since`)

	// endLeaseScript: KEYS lease. ARGV incarnation.
	endLeaseScript = newScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`)

	// parkScript: KEYS id, parked. ARGV receipt, TTL in ms, versions of correlations, a letter each.
	// Parks the receipt unless its id is known, then answers whose it is; of
	// what another version wrote it knows nothing. The
	// submit side writes the id before it looks for parked receipts, so one of
	// the two always sees the other.
	parkScript = newScript(`
local v = redis.call('GET', KEYS[1])
if v and v ~= '' and string.find(ARGV[3], string.sub(v, 1, 1), 1, true) then return v end
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return false`)

	// dueScript: KEYS index. ARGV TTL in ms, then score and member pairs.
	dueScript = newScript(`
for i = 2, #ARGV, 2 do redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return false`)

	// takeOverScript: KEYS id. ARGV whose it was, whose it is to be, TTL in ms, TTL in ms after a final receipt.
	// Answers 1 when the id is the new one's: a final receipt has shortened the TTL.
	takeOverScript = newScript(`
local v = redis.call('GET', KEYS[1])
if v == ARGV[2] then return 1 end
if v and (v ~= ARGV[1] or redis.call('PTTL', KEYS[1]) > tonumber(ARGV[4])) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`)

	// decideScript: KEYS verdict. ARGV ours, when the receipt came in Unix ms, TTL in ms.
	// Answers the verdict on a parked receipt, ours when there is none: whoever
	// publishes it asks before, so that it is published with its job or
	// without, and not both ways. A verdict is on what came before it: a receipt
	// that the SMSC repeats later gets another.
	decideScript = newScript(`
local v = redis.call('GET', KEYS[1])
if v then
  local verdict, at = string.match(v, '^(%a) (%d+)$')
  if verdict and tonumber(at) >= tonumber(ARGV[2]) then return verdict end
end
local t = redis.call('TIME')
local now = math.max(t[1] * 1000 + math.floor(t[2] / 1000), tonumber(ARGV[2]))
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. string.format('%d', now), 'PX', ARGV[3])
return ARGV[1]`)

	// forgetScript: KEYS index. ARGV member, score.
	// Forgets what was due by then. What came again meanwhile is due later.
	forgetScript = newScript(`
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if due and tonumber(due) <= tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end
return false`)

	// finalScript: KEYS states. ARGV part, state, parts in all, result id, TTL in ms, TTL in ms once complete.
	// Notes the final state of a part. The receipt that completes the parts
	// answers all states, now and when it is repeated; every other, nothing.
	finalScript = newScript(`
local last = redis.call('HGET', KEYS[1], 'last')
if not last then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  if redis.call('HLEN', KEYS[1]) < tonumber(ARGV[3]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[5])
    return {}
  end
  last = ARGV[4]
  redis.call('HSET', KEYS[1], 'last', last)
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
end
if last ~= ARGV[4] then return {} end
local states = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if all[i] ~= 'last' then states[#states + 1] = all[i + 1] end
end
return states`)
)

var scripts []*redis.Script

// newScript notes the script for loadScripts.
func newScript(src string) *redis.Script {
	s := redis.NewScript(src)
	scripts = append(scripts, s)
	return s
}

// call is the command that runs the script.
func call(ctx context.Context, s *redis.Script, keys []string, args ...any) *redis.Cmd {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, "evalsha", s.Hash(), len(keys))
	for _, k := range keys {
		all = append(all, k)
	}
	cmd := redis.NewCmd(ctx, append(all, args...)...)
	cmd.SetFirstKeyPos(3)
	return cmd
}

// loadScripts makes the scripts known to Redis, which forgets them when it restarts.
func (s *store) loadScripts(ctx context.Context) error {
	for _, script := range scripts {
		if err := script.Load(ctx, s.client).Err(); err != nil {
			return fmt.Errorf("load scripts: %w", err)
		}
	}
	return nil
}
