package app

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// secureEnv has a variable of any name, some of them unfit.
func secureEnv(name string) string {
	switch name {
	case "SHORT":
		return "0123456789"
	case "BLANK":
		return "0123456789 0123456789"
	}
	return "0123456789abcdef0123456789abcdef"
}

func TestWhatIsWrongWithSecretsIsToldWithWhatToDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	err := os.WriteFile(filepath.Join(dir, "text"), []byte("nothing"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for keys, want := range map[string]string{
		"nats: {url: 'nats://token@h:4222'}":                                   "nats.url: must not hold a user, a password or a token: use creds_file",
		"nats: {url: 'nats://a:b@h:4222'}":                                     "nats.url: must not hold a password",
		"nats: {url: 'ws://h:4222', tls: {server_name: h}}":                    "nats.tls: has no effect: ws:// has no TLS",
		"nats: {tls: {cert_file: text}}":                                       "nats.tls: needs cert_file and key_file together",
		"nats: {tls: {ca_file: text}}":                                         "nats.tls: ca_file: holds no certificate in PEM",
		"nats: {tls: {ca_file: none}}":                                         "nats.tls.ca_file: names none, which cannot be read: no such file or directory",
		"nats: {nkey_file: text}":                                              "nats.nkey_file: names text, which holds no seed of a user's NKey (SU...): nk -gen user makes one",
		"nats: {nkey_file: text, user: a, password_env: P}":                    "nats.nkey_file: cannot stand beside creds_file or user",
		"nats: {user: a}":                                                      "nats.password_env: is required (or password_file)",
		"nats: {password: x}":                                                  "nats.password: must not stand in the file",
		"nats: {inbox_prefix: 'a b'}":                                          "nats.inbox_prefix: must be dot-separated tokens",
		"nats: {inbox_prefix: ''}":                                             "nats.inbox_prefix: must be dot-separated tokens",
		"redis: {url: 'redis://u:p@h'}":                                        "redis.url: must not hold a password",
		"redis: {url: 'redis+sentinel://h?master_name=a&sentinel_password=p'}": "redis.url: must not hold a password: use password_env or password_file, for Sentinels",
		"redis: {url: 'redis://h', tls: {server_name: h}}":                     "redis.tls: has no effect: redis.url must begin with rediss://",
		"redis: {user: worker}":                                                "redis.password_env: is required",
		"redis: {url: 'redis://a@h', user: b, password_env: P}":                `redis.user: is "b", and redis.url has another user`,
		"redis: {sentinel_password_env: P}":                                    "redis.sentinel_password_env: has no effect without a redis+sentinel:// URL",
		"admin: {token_env: SHORT}":                                            "admin.token_env: names a token of 10 characters; it must have 16 or more: openssl rand -hex 32 makes one",
		"admin: {read_token_env: BLANK}":                                       "admin.read_token_env: names a token with blanks",
		"admin: {token_env: A, read_token_env: B}":                             "admin.read_token_env: is the same as admin.token",
		"admin: {read_token: x}":                                               "admin.read_token: must not stand in the file",
		"admin: {tls: {cert_file: text}}":                                      "admin.tls: needs cert_file and key_file together",
		"admin: {tls: {cert_file: text, key_file: text}}":                      "admin.tls: cert_file: ",
		"admin: {tls: {client_ca_file: text}}":                                 "admin.tls.client_ca_file: has no effect without cert_file",
		"admin: {tls: {writers: [a]}}":                                         "admin.tls.writers: has no effect without client_ca_file",
		"privacy: {hash_key_env: SHORT}":                                       "privacy.hash_key_env: names a key of 10 characters; it must have 32 or more",
		"privacy: {hash_key_env: A, hash_key_file: text}":                      "privacy.hash_key_file: cannot stand beside hash_key_env",
	} {
		_, err := Parse(filepath.Join(dir, "f.yaml"), []byte(keys+minimal), secureEnv)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot:  %v\nwant: %s", keys, err, want)
		}
		if err != nil && strings.Contains(err.Error(), secureEnv("")) {
			t.Errorf("%s: a secret stands in %v", keys, err)
		}
	}
}

func TestAnAdminServerThatOthersReachAndGetNothingFromIsNoticed(t *testing.T) {
	t.Parallel()
	for keys, want := range map[string]bool{
		"{listen: ':8080'}":                            true,
		"{listen: '0.0.0.0:8080', open_metrics: true}": true,
		"{listen: ':8080', read_token_env: A}":         false,
		"{listen: ':8080', token_env: A}":              false,
		"{listen: '127.0.0.1:8080'}":                   false,
		"{listen: '[::1]:8080'}":                       false,
		"{listen: 'localhost:8080'}":                   false,
	} {
		cfg, err := Parse("f.yaml", []byte("admin: "+keys+minimal), secureEnv)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(cfg.Notices, "\n"), "set admin.read_token_env"); got != want {
			t.Errorf("%s: noticed %v, want %v: %q", keys, got, want, cfg.Notices)
		}
	}
}

func TestSecretsTakeEffectWithoutARestartAndAreNotShown(t *testing.T) {
	t.Parallel()
	load := func(value string) *Config {
		cfg, err := Parse("f.yaml", []byte(`
nats: {user: worker, password_env: A}
redis: {user: worker, password_env: A}
admin: {token_env: B, read_token_env: A}
privacy: {hash_key_env: A}
`+minimal), func(name string) string { return "secret-" + name + strings.Repeat(value, 40) })
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	old, next := load("1"), load("2")
	d := diff(old, next)
	want := []string{"nats.password", "redis.password", "admin.token", "admin.read_token", "privacy.hash_key", "acme.password"}
	if diff := cmp.Diff(want, d.list()); diff != "" || len(d.restart()) > 0 {
		t.Errorf("%s; takes a restart: %q", diff, d.restart())
	}
	old.adopt(next)
	if d := diff(old, next); len(d.live) > 0 {
		t.Errorf("after they were adopted these differ: %v", d.live)
	}
	next.NATS.User, next.NATS.Password = "other", "of another user"
	if old.adopt(next); old.NATS.Password == next.NATS.Password {
		t.Error("the password of another user is taken for the one there is")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if printed := fmt.Sprintf(verb, *old); strings.Contains(printed, "secret-") || strings.Contains(printed, "7365637265742d") {
			t.Errorf("%s shows a secret: %s", verb, printed)
		}
	}
}

func TestEverySecretOfTheConfigurationHasTheTypeThatIsNotShown(t *testing.T) {
	t.Parallel()
	var look func(path string, typ reflect.Type)
	look = func(path string, typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			inner := f.Type
			if inner.Kind() == reflect.Slice {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct {
				look(path+f.Name+".", inner)
			}
			name := strings.ToLower(f.Name)
			secret := strings.HasSuffix(name, "password") || strings.HasSuffix(name, "token") || strings.HasSuffix(name, "hashkey") || strings.HasSuffix(name, "seed")
			if secret != (f.Type == reflect.TypeFor[Secret]()) {
				t.Errorf("%s%s is of type %v", path, f.Name, f.Type)
			}
			if secret && f.Tag.Get("yaml") != "-" {
				t.Errorf("%s%s can stand in the file", path, f.Name)
			}
		}
	}
	look("", reflect.TypeFor[Config]())
}
