package app

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/nats-io/nkeys"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
	"github.com/shortwire-sms/shortwire/receipts"
)

func (c *checker) nats(n *NATSConfig) {
	for server := range strings.SplitSeq(n.URL, ",") {
		server = strings.TrimSpace(server)
		c.url("nats.url", server, "nats", "tls", "ws", "wss")
		if u, err := url.Parse(server); err == nil && u.User != nil {
			c.wrong("nats.url", "must not hold a user, a password or a token: use creds_file, nkey_file, or user with password_env or password_file")
		}
	}
	c.clientTLS("nats", &n.TLS, !strings.Contains(n.URL, "ws://"), "ws:// has no TLS, wss:// has")
	c.natsAccount(n)
	if err := (sms.Subjects{Prefix: n.SubjectPrefix}).Validate(); err != nil {
		c.wrong("nats.subject_prefix", "must be dot-separated tokens of 1..32 of A-Z a-z 0-9 _ -, is %q", n.SubjectPrefix)
	}
	if err := (sms.Subjects{Prefix: n.InboxPrefix}).Validate(); n.InboxPrefix == "" || err != nil {
		c.wrong("nats.inbox_prefix", "must be dot-separated tokens of 1..32 of A-Z a-z 0-9 _ -, like _INBOX_worker, is %q", n.InboxPrefix)
	}
	for i, producer := range n.ResultsFor {
		if !sms.ValidToken(producer) {
			c.wrong(fmt.Sprintf("nats.results_for[%d]", i), "must be a producer, 1..32 of A-Z a-z 0-9 _ -, is %q", producer)
		}
	}
	if !slices.Contains([]int{1, 3, 5}, n.Replicas) {
		c.wrong("nats.replicas", "must be 1, 3 or 5, is %d", n.Replicas)
	}
	within(c, "nats.jobs_max_per_subject", n.JobsMax, 1, 1_000_000_000)
	if n.JobsMaxBytes != -1 {
		within(c, "nats.jobs_max_bytes", n.JobsMaxBytes, 1<<20, 1<<50)
	}
}

// natsAccount checks by what the worker is known to NATS: one thing at most.
func (c *checker) natsAccount(n *NATSConfig) {
	c.file("nats.creds_file", &n.CredsFile)
	n.Password = c.password("nats", n.PasswordEnv, n.PasswordFile, n.User != "")
	if n.Password != "" && n.User == "" {
		c.wrong("nats.user", "is required with a password")
	}
	if n.CredsFile != "" && n.User != "" {
		c.wrong("nats.user", "cannot stand beside creds_file; choose one")
	}
	if n.NKeyFile == "" {
		return
	}
	if n.CredsFile != "" || n.User != "" {
		c.wrong("nats.nkey_file", "cannot stand beside creds_file or user; choose one")
	}
	data := c.read("nats.nkey_file", n.NKeyFile)
	if data == nil {
		return
	}
	pair, err := nkeys.ParseDecoratedNKey(data)
	var public string
	if err == nil {
		public, err = pair.PublicKey()
	}
	if err != nil || !nkeys.IsValidPublicUserKey(public) {
		c.wrong("nats.nkey_file", "names %s, which holds no seed of a user's NKey (SU...): nk -gen user makes one", n.NKeyFile)
		return
	}
	n.Seed = Secret(data)
}

func (c *checker) redis(r *RedisConfig) {
	c.url("redis.url", r.URL, "redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
	u, err := url.Parse(r.URL)
	if err != nil {
		return // it has its fault
	}
	for key := range u.Query() {
		if strings.Contains(strings.ToLower(key), "password") {
			c.wrong("redis.url", "must not hold a password: use password_env or password_file, for Sentinels sentinel_password_env or sentinel_password_file")
		}
	}
	if client, err := receipts.Connect(r.URL); err != nil {
		c.wrong("redis.url", "%s", strings.TrimPrefix(err.Error(), "redis url: "))
	} else {
		_ = client.Close() // nothing was opened
	}
	c.clientTLS("redis", &r.TLS, strings.HasPrefix(u.Scheme, "rediss"), "redis.url must begin with rediss:// (or rediss+sentinel://, rediss+cluster://) for TLS")
	r.Password = c.password("redis", r.PasswordEnv, r.PasswordFile, r.User != "")
	if name := u.User.Username(); r.User != "" && name != "" && name != r.User {
		c.wrong("redis.user", "is %q, and redis.url has another user; choose one", r.User)
	} else if r.User == "" {
		r.User = name
	}
	r.SentinelPassword = c.secret("redis", "sentinel_password", r.SentinelPasswordEnv, r.SentinelPasswordFile)
	if r.SentinelPassword != "" && !strings.HasSuffix(u.Scheme, "+sentinel") {
		c.wrong("redis.sentinel_password_"+envOrFile(r.SentinelPasswordEnv), "has no effect without a redis+sentinel:// URL")
	}
}

func (c *checker) url(path, raw string, schemes ...string) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || !slices.Contains(schemes, u.Scheme):
		c.wrong(path, "must be a URL that begins with %s://", strings.Join(schemes, ":// or "))
	case u.Scheme != "unix" && u.Hostname() == "":
		c.wrong(path, "names no host")
	default:
		if _, has := u.User.Password(); has {
			c.wrong(path, "must not hold a password: use password_env or password_file")
		}
	}
}

// minHashKey is the shortest key that keeps numbers from being tried one by one.
const minHashKey = 32

func (c *checker) privacy(p *PrivacyConfig) {
	p.HashKey = c.secret("privacy", "hash_key", p.HashKeyEnv, p.HashKeyFile)
	if n := len(p.HashKey); n > 0 && n < minHashKey {
		c.wrong("privacy.hash_key_"+envOrFile(p.HashKeyEnv), "names a key of %d characters; it must have %d or more: openssl rand -hex 32 makes one", n, minHashKey)
	}
}
