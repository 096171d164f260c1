package receipts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// minRedis is the first version that takes SET with NX and GET together, which
// a claim is made of.
const minRedis = "7.0"

// UnusableError is a Redis that answers and cannot be worked with.
type UnusableError struct {
	Reason string // "does not let this user run ZADD: …"
	Hint   string // what to do
}

// Error implements error.
func (e *UnusableError) Error() string { return e.Reason }

// probeScript: KEYS one of ours. It runs every command that the scripts and the
// store use, and answers those that were refused, each followed by why.
var probeScript = redis.NewScript(`
local k, refused = KEYS[1], {}
for _, c in ipairs({
  {'SET', k, '1', 'PX', '1000'}, {'GET', k}, {'PTTL', k}, {'PERSIST', k}, {'PEXPIRE', k, '1000'}, {'EXPIRE', k, '1'}, {'DEL', k},
  {'HSET', k, 'a', '1'}, {'HGET', k, 'a'}, {'HMGET', k, 'a'}, {'HGETALL', k}, {'HINCRBY', k, 'a', '1'}, {'HLEN', k}, {'HDEL', k, 'a'},
  {'RPUSH', k, 'a'}, {'LRANGE', k, '0', '-1'}, {'DEL', k},
  {'SADD', k, 'a'}, {'SMEMBERS', k}, {'DEL', k},
  {'ZADD', k, '1', 'a'}, {'ZSCORE', k, 'a'}, {'ZCARD', k}, {'ZRANGEBYSCORE', k, '0', '1'}, {'ZREMRANGEBYSCORE', k, '0', '0'}, {'ZREM', k, 'a'},
  {'TIME'},
}) do
  local r = redis.pcall(unpack(c))
  if type(r) == 'table' and r.err then
    table.insert(refused, c[1])
    table.insert(refused, r.err)
  end
end
return refused`)

// Probe tells whether a Redis that answers can be worked with: its version, and
// whether it lets this user run all commands that are needed, on keys that begin
// with prefix, default "sw". The error is an *UnusableError if not, else that of
// the connection.
func Probe(ctx context.Context, client redis.UniversalClient, prefix string) error {
	if prefix == "" {
		prefix = "sw"
	}
	key := prefix + ":probe"
	if err := client.Do(ctx, "set", key, "", "nx", "get", "px", 1000).Err(); err != nil && !errors.Is(err, redis.Nil) {
		return unusable(ctx, client, map[string]string{"SET": err.Error()}, err)
	}
	refused := make(map[string]string)
	if err := probeScript.Load(ctx, client).Err(); err != nil {
		return unusable(ctx, client, map[string]string{"SCRIPT LOAD": err.Error()}, err)
	}
	answer, err := probeScript.EvalSha(ctx, client, []string{key}).StringSlice()
	if err != nil {
		return unusable(ctx, client, map[string]string{"EVALSHA": err.Error()}, err)
	}
	for i := 0; i+1 < len(answer); i += 2 {
		refused[answer[i]] = answer[i+1]
	}
	if len(refused) == 0 {
		return nil
	}
	return unusable(ctx, client, refused, nil)
}

// unusable says what the server's refusals, by command, come from. An err that
// is no refusal is returned as it is.
func unusable(ctx context.Context, client redis.UniversalClient, refused map[string]string, err error) error {
	var answered redis.Error
	if err != nil && !errors.As(err, &answered) {
		return err
	}
	commands := slices.Sorted(maps.Keys(refused))
	why := refused[commands[0]]
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(why, w) })
	}
	names := strings.Join(commands, ", ")
	switch {
	case says("syntax error"):
		return &UnusableError{Reason: "is too old" + serverVersion(ctx, client) + ": it does not take SET with NX and GET", Hint: "Redis " + minRedis + " or later is needed"}
	case says("access a key", "one of the keys", "access at least one of the keys"):
		return &UnusableError{Reason: fmt.Sprintf("does not let this user touch keys that begin with sw: %s", why), Hint: "allow the user the keys sw:*, as ACL SETUSER NAME ~sw:* does"}
	case says("NOPERM", "ACL failure", "no permissions", "can't run this command"):
		return &UnusableError{Reason: fmt.Sprintf("does not let this user run %s: %s", names, why),
			Hint: "allow them, as ACL SETUSER NAME +" + strings.ToLower(strings.ReplaceAll(strings.Join(commands, " +"), "SCRIPT LOAD", "script|load")) + " does; deploy/redis/users.acl has what a worker needs"}
	case says("nknown"):
		return &UnusableError{Reason: fmt.Sprintf("does not know %s: %s", names, why), Hint: "take rename-command for them out of its configuration; Redis " + minRedis + " or later is needed"}
	case says("READONLY"):
		return &UnusableError{Reason: "is a replica, which cannot be written to", Hint: "name the master in redis.url, or use redis+sentinel:// or redis+cluster://"}
	}
	return &UnusableError{Reason: fmt.Sprintf("refuses %s: %s", names, why), Hint: "see the server's log"}
}

// serverVersion is " (version 6.2.7)", empty when it does not tell.
func serverVersion(ctx context.Context, client redis.UniversalClient) string {
	info, err := client.Info(ctx, "server").Result()
	if err != nil {
		return ""
	}
	if _, rest, found := strings.Cut(info, "redis_version:"); found {
		version, _, _ := strings.Cut(rest, "\r\n")
		return " (version " + strings.TrimSpace(version) + ")"
	}
	return ""
}
