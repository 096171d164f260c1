package app

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/shortwire-sms/shortwire/dispatcher/spell"
)

// Load reads and checks the configuration at path. getenv is os.Getenv
// outside tests. The error, if any, is a Faults that holds everything that is
// wrong with the file, or with what it refers to, at once.
func Load(path string, getenv func(string) string) (*Config, error) {
	cfg, _, err := load(path, getenv)
	return cfg, err
}

// load is Load, and says what it has read, also with an error.
func load(path string, getenv func(string) string) (*Config, reading, error) {
	read := make(reading)
	data, err := read.file(path)
	if err != nil {
		return nil, read, Faults{{File: path, Message: "cannot be read: " + fileProblem(err)}}
	}
	cfg, err := parse(path, data, getenv, read)
	return cfg, read, err
}

// Parse is Load for data that is already in memory. Relative paths in it
// start at the directory of path, which also stands in messages.
func Parse(path string, data []byte, getenv func(string) string) (*Config, error) {
	return parse(path, data, getenv, make(reading))
}

func parse(path string, data []byte, getenv func(string) string, read reading) (*Config, error) {
	d := &decoder{file: path, lines: make(map[string]int), anchors: make(map[string]ast.Node)}
	cfg := new(Config)
	d.decode(data, cfg)
	if len(d.lines) > 0 {
		c := &checker{decoder: d, dir: filepath.Dir(path), getenv: getenv, files: read}
		c.config(cfg)
	}
	if len(d.faults) > 0 {
		d.faults.sort()
		return nil, d.faults
	}
	return cfg, nil
}

// reading is files, by path, and what they held: a digest, empty for one that
// could not be read. Links are followed, so that a link that is moved to
// another file is a change.
type reading map[string]string

// file reads a file and notes what it held.
func (r reading) file(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	r[path] = digest(data, err)
	return data, err
}

// again reads the same files.
func (r reading) again() reading {
	now := make(reading, len(r))
	for path := range r {
		_, _ = now.file(path) // what is wrong is for load to tell
	}
	return now
}

func digest(data []byte, err error) string {
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:6])
}

// fileProblem says why a file could not be opened without repeating its name.
func fileProblem(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// unreadable says what to do about a file that the configuration names.
func unreadable(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("; let user id %d read it, which shortwire runs as", os.Getuid())
	case errors.Is(err, fs.ErrNotExist):
		return "; relative names start at the directory of this file"
	case errors.Is(err, syscall.EISDIR):
		return "; name a file in it"
	}
	return ""
}

// checker finds what is wrong with a decoded configuration, and resolves its
// references to files and to the environment.
type checker struct {
	*decoder
	dir    string
	getenv func(string) string
	files  reading // what was read beside the configuration
}

// wrong adds a fault about the key at path, at the line of the key or else of
// what should contain it. A key that could not even be decoded has its fault.
func (c *checker) wrong(path, format string, args ...any) {
	if c.faulty(path) {
		return
	}
	at := path
	for c.lines[at] == 0 && at != "" {
		at = at[:max(0, strings.LastIndexAny(at, ".["))]
	}
	c.fault(path, c.lines[at], format, args...)
}

// faulty reports whether the key has a fault already.
func (c *checker) faulty(path string) bool {
	return slices.ContainsFunc(c.faults, func(f Fault) bool { return f.Path == path })
}

// given reports whether the file has the key.
func (c *checker) given(path string) bool { return c.lines[path] > 0 }

// within checks a number or a duration.
func within[T cmp.Ordered](c *checker, path string, value, low, high T) {
	if value < low || value > high {
		c.wrong(path, "must be %s..%s, is %s", plain(low), plain(high), plain(value))
	}
}

// plain formats a value as a configuration would have it: 192h, not 192h0m0s.
func plain(value any) string {
	text := fmt.Sprint(value)
	if _, ok := value.(time.Duration); ok && strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
		if strings.HasSuffix(text, "h0m") {
			text = strings.TrimSuffix(text, "0m")
		}
	}
	return text
}

// oneOf checks a word of a closed set.
func oneOf[T ~string](c *checker, path string, value T, words ...T) {
	known := make([]string, len(words))
	for i, w := range words {
		if value == w {
			return
		}
		known[i] = string(w)
	}
	c.wrong(path, "must be one of %s, is %q%s", strings.Join(known, ", "), value, spell.Hint(string(value), known))
}

// password resolves the pair <path>.password_env and <path>.password_file.
func (c *checker) password(path, env, file string, required bool) Secret {
	if required && env == "" && file == "" {
		c.wrong(path+".password_env", "is required (or password_file): the password never stands in this file")
		return ""
	}
	return c.secret(path, "password", env, file)
}

// secret resolves the pair <path>.<key>_env and <path>.<key>_file.
func (c *checker) secret(path, key, env, file string) Secret {
	switch {
	case env != "" && file != "":
		c.wrong(path+"."+key+"_file", "cannot stand beside %s_env; choose one", key)
	case env != "":
		value := c.getenv(env)
		if value == "" {
			c.wrong(path+"."+key+"_env", "names the environment variable %s, which is not set or empty", env)
		}
		return Secret(value)
	case file != "":
		data := c.read(path+"."+key+"_file", file)
		value := withoutLineEnd(data)
		if data != nil && value == "" {
			c.wrong(path+"."+key+"_file", "names %s, which is empty", file)
		}
		return Secret(value)
	}
	return ""
}

// withoutLineEnd is what a file holds but for its last line end, which editors add.
func withoutLineEnd(data []byte) string {
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
}

// file makes a path absolute to the configuration's directory and checks that
// it can be read.
func (c *checker) file(path string, name *string) {
	if *name == "" {
		return
	}
	if c.read(path, *name) != nil {
		*name = c.rooted(*name)
	}
}

func (c *checker) read(path, name string) []byte {
	data, err := c.files.file(c.rooted(name))
	if err != nil {
		c.wrong(path, "names %s, which cannot be read: %s", name, fileProblem(err)+unreadable(err))
		return nil
	}
	if data == nil {
		data = []byte{}
	}
	return data
}

func (c *checker) rooted(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.dir, name)
}

// Secret is a password. It prints as "[secret]" wherever it is formatted.
type Secret string

// String implements fmt.Stringer.
func (Secret) String() string { return "[secret]" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "[secret]" }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

var _ fmt.GoStringer = Secret("")
