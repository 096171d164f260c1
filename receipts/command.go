package receipts

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// command is a command with a key, and at most one answer, that is used again
// after it was answered: a command, its arguments and their boxes, made anew
// five times for each job, were more than half of what a job allocates here.
//
// Only what go-redis needs to run a pipeline follows the arguments of this
// use. That a key is absent is no error, so that a pipeline need not look
// into it; Val is empty then.
type command struct {
	*redis.StringCmd
	args       [7]any
	used       int // of args
	key, value octets
}

// list is LRANGE of a whole list, used again as command is.
type list struct {
	*redis.StringSliceCmd
	key octets
}

// octets are an argument that is written anew for each use of its command.
type octets []byte

// MarshalBinary implements encoding.BinaryMarshaler: so go-redis writes them.
func (o *octets) MarshalBinary() ([]byte, error) { return *o, nil }

// String is how go-redis reads a key, to find its slot in Redis Cluster.
func (o *octets) String() string { return string(*o) }

// maxKept is how many octets a value may have to be kept for the next use.
const maxKept = 4 << 10

// A command outlives the call that it is made in, so it has none of its ctx.
var (
	commands = sync.Pool{New: func() any {
		c := new(command)
		c.StringCmd = redis.NewStringCmd(context.Background(), c.args[:]...)
		return c
	}}
	lists = sync.Pool{New: func() any {
		l := new(list)
		l.StringSliceCmd = redis.NewStringSliceCmd(context.Background(), "lrange", &l.key, 0, -1)
		return l
	}}
)

// command returns one to fill in: key and value are empty, with room.
func (s *store) command() *command {
	c := commands.Get().(*command)
	c.key, c.value = c.key[:0], c.value[:0]
	return c
}

func (s *store) list() *list {
	l := lists.Get().(*list)
	l.key = l.key[:0]
	return l
}

// done gives a command back that was answered. One whose caller left may still
// be in flight. In Redis Cluster a command remembers the slot of its key, so
// there none is used again.
func (s *store) done(c *command) {
	if s.cluster || cap(c.value) > maxKept {
		return
	}
	c.SetVal("")
	commands.Put(c)
}

func (s *store) doneList(l *list) {
	if s.cluster {
		return
	}
	l.SetVal(nil)
	lists.Put(l)
}

// setIfAbsent is SET NX, which answers what is there. TTLs are in ms.
func (c *command) setIfAbsent(ttl any) *command {
	return c.with("set", &c.key, &c.value, "nx", "get", "px", ttl)
}

// replace is SET, which answers what was there.
func (c *command) replace(ttl any) *command {
	return c.with("set", &c.key, &c.value, "get", "px", ttl)
}

// getAndExpire is GET, and sets the TTL of what is there.
func (c *command) getAndExpire(ttl any) *command { return c.with("getex", &c.key, "px", ttl) }

func (c *command) get() *command { return c.with("get", &c.key) }

// with fills in the arguments, also of one that failed and is tried again.
func (c *command) with(args ...any) *command {
	c.used = copy(c.args[:], args)
	c.SetErr(nil)
	return c
}

// again is for one that may have failed.
func (l *list) again() *list {
	l.SetErr(nil)
	return l
}

// again is for one that may have failed.
func (c *command) again() *command {
	c.SetErr(nil)
	return c
}

// Args implements redis.Cmder.
func (c *command) Args() []any { return c.args[:c.used] }

// SetErr implements redis.Cmder.
func (c *command) SetErr(err error) {
	if err == redis.Nil {
		err = nil
	}
	c.StringCmd.SetErr(err)
}
