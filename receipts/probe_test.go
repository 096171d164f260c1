package receipts

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/shortwire-sms/shortwire/receipts/redistest"
)

// probe tries a user of a server that is configured by args.
func probe(t *testing.T, addr, user string) error {
	t.Helper()
	if user != "" {
		addr = user + ":x@" + addr
	}
	client, err := Connect("redis://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return Probe(t.Context(), client, "")
}

func TestARedisThatCannotBeWorkedWithIsNamedWithWhatToDo(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, "--user", "whole", "on", ">x", "~sw:*", "+@all",
		"--user", "nohash", "on", ">x", "~sw:*", "+@all", "-hset", "-zadd",
		"--user", "noscript", "on", ">x", "~sw:*", "+@all", "-@scripting",
		"--user", "noset", "on", ">x", "~sw:*", "+@all", "-set",
		"--user", "elsewhere", "on", ">x", "~other:*", "+@all")
	if !srv.Real() {
		t.Skip("miniredis has no users: install redis-server")
	}
	renamed := redistest.Start(t, "--rename-command", "PERSIST", "")
	replica := redistest.Start(t, "--replicaof", strings.Replace(redistest.FreeAddr(t), ":", " ", 1))
	for _, c := range []struct{ addr, user, reason, hint string }{
		{renamed.Addr, "", "does not know PERSIST: ", "rename-command"},
		{srv.Addr, "nohash", "does not let this user run HSET, ", "+hset +"},
		{srv.Addr, "noscript", "does not let this user run SCRIPT LOAD: ", "+script|load"},
		{srv.Addr, "noset", "does not let this user run SET: ", "+set"},
		{srv.Addr, "elsewhere", "touch keys that begin with sw", "~sw:*"},
		{replica.Addr, "", "is a replica", "redis+sentinel"},
	} {
		err := probe(t, c.addr, c.user)
		var unusable *UnusableError
		if !errors.As(err, &unusable) || !strings.Contains(unusable.Reason, c.reason) || !strings.Contains(unusable.Hint, c.hint) {
			t.Errorf("user %q: %#v", c.user, err)
		}
	}
	if err := probe(t, srv.Addr, "whole"); err != nil {
		t.Errorf("a whole one: %v", err)
	}
	var unusable *UnusableError
	if err := probe(t, redistest.FreeAddr(t), ""); err == nil || errors.As(err, &unusable) {
		t.Errorf("none at all: %v", err)
	}
}

func TestARedisThatIsTooOldIsNamedWithItsVersion(t *testing.T) {
	t.Parallel()
	old := miniredis.RunT(t)
	old.Server().SetPreHook(func(c *server.Peer, cmd string, args ...string) bool {
		switch {
		case strings.EqualFold(cmd, "set") && slices.Contains(args, "nx") && slices.Contains(args, "get"):
			c.WriteError("ERR syntax error")
		case strings.EqualFold(cmd, "info"):
			c.WriteBulk("# Server\r\nredis_version:6.2.7\r\nredis_mode:standalone\r\n")
		default:
			return false
		}
		return true
	})
	if err := probe(t, old.Addr(), ""); err == nil || err.Error() != "is too old (version 6.2.7): it does not take SET with NX and GET" {
		t.Error(err)
	}
}

var called = regexp.MustCompile(`redis\.call\('([A-Z]+)'`)

func TestTheProbeTriesEveryCommandOfTheScripts(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("probe.go")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, dir := range []string{".", "../ratelimit"} {
		all, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range all {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range called.FindAllStringSubmatch(string(text), -1) {
				files++
				if !strings.Contains(string(source), "{'"+m[1]+"'") {
					t.Errorf("%s calls %s, which Probe does not try", file, m[1])
				}
			}
		}
	}
	if files < 50 {
		t.Errorf("%d calls found, want them all", files)
	}
}
