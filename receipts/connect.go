package receipts

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// How soon a Redis that does not answer is given up. The store asks again
// itself, and must notice in time to answer an SMSC.
const (
	dialTimeout = 2 * time.Second
	ioTimeout   = 3 * time.Second
	// slotsAge is how old a client's map of a Redis Cluster may get while it is
	// used. go-redis asks anew by itself when a node redirects it, not when a
	// node is gone: with its own 60 s a dead master was dialled for a minute
	// after its replica had taken over.
	slotsAge = time.Second
)

// Connect makes the client for a URL, with options that suit a Desk. It does
// no I/O. The schemes are those of go-redis, redis, rediss and unix; with
// +sentinel or +cluster appended, as in redis+cluster://host:6379?addr=host2:6379,
// the URL is read as ParseFailoverURL and ParseClusterURL do.
//
// go-redis has one log for the whole process, and a line in it for every
// failed dial; Connect turns it into debug lines of slog's default logger.
func Connect(url string) (redis.UniversalClient, error) { return ConnectAs(url, Access{}) }

// Access is by what a client is known to the server, and the server to it,
// beside what the URL says.
type Access struct {
	User             func() (user, password string) // asked at each connection; nil means none
	SentinelPassword string                         // of the Sentinels themselves; empty means none
	TLS              func() (*tls.Config, error)    // asked at each connection of a rediss URL; nil means the defaults
}

// ConnectAs is Connect with more than a URL should hold.
func ConnectAs(url string, a Access) (redis.UniversalClient, error) {
	quieten()
	scheme, rest, found := strings.Cut(url, "://")
	if !found {
		return nil, fmt.Errorf("redis url: must begin with redis://, rediss:// or unix://")
	}
	base, kind, _ := strings.Cut(scheme, "+")
	url = base + "://" + rest
	switch kind {
	case "":
		o, err := redis.ParseURL(url)
		if err != nil {
			return nil, fmt.Errorf("redis url: %w", err)
		}
		o.DialTimeout, o.DialerRetries, o.ReadTimeout, o.WriteTimeout, o.MaxRetries = dialTimeout, 1, ioTimeout, ioTimeout, 1
		o.CredentialsProviderContext, o.Dialer = a.credentials(), a.dialer(o.TLSConfig)
		return redis.NewClient(o), nil
	case "sentinel":
		o, err := redis.ParseFailoverURL(url)
		if err != nil {
			return nil, fmt.Errorf("redis url: %w", err)
		}
		o.DialTimeout, o.DialerRetries, o.ReadTimeout, o.WriteTimeout, o.MaxRetries = dialTimeout, 1, ioTimeout, ioTimeout, 1
		o.CredentialsProviderContext, o.Dialer = a.credentials(), a.dialer(o.TLSConfig)
		o.SentinelPassword = cmp.Or(a.SentinelPassword, o.SentinelPassword)
		return redis.NewFailoverClient(o), nil
	case "cluster":
		o, err := redis.ParseClusterURL(url)
		if err != nil {
			return nil, fmt.Errorf("redis url: %w", err)
		}
		o.DialTimeout, o.DialerRetries, o.ReadTimeout, o.WriteTimeout = dialTimeout, 1, ioTimeout, ioTimeout
		o.ClusterStateReloadInterval = slotsAge
		o.CredentialsProviderContext, o.Dialer = a.credentials(), a.dialer(o.TLSConfig)
		return redis.NewClusterClient(o), nil
	}
	return nil, fmt.Errorf("redis url: unknown scheme %q, must be redis, redis+sentinel or redis+cluster", scheme)
}

// credentials is nil where the URL's hold.
func (a Access) credentials() func(context.Context) (user, password string, err error) {
	if a.User == nil {
		return nil
	}
	return func(context.Context) (string, string, error) {
		user, password := a.User()
		return user, password, nil
	}
}

// dialer is nil where go-redis's own does. from is what the URL makes of TLS.
func (a Access) dialer(from *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	if a.TLS == nil || from == nil {
		return nil
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		secure, err := a.TLS()
		if err != nil {
			return nil, fmt.Errorf("redis.tls: %w", err)
		}
		d := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: secure} // it takes the name from addr where there is none
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		return d.DialContext(ctx, network, addr)
	}
}

var quieten = sync.OnceFunc(func() { redis.SetLogger(debugLog{}) })

type debugLog struct{}

// Printf implements the logger of go-redis.
func (debugLog) Printf(ctx context.Context, format string, args ...any) {
	if slog.Default().Enabled(ctx, slog.LevelDebug) {
		slog.DebugContext(ctx, "redis client", "what", fmt.Sprintf(format, args...))
	}
}
