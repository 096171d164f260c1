package app

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// change is one key of the configuration whose value is another.
type change struct {
	route    string // empty: of no route
	key      string // "nats.url", of a route "rate"
	from, to string // as the configuration would have it; empty for secrets
}

// String is "acme.rate: 500 → 200".
func (c change) String() string {
	at := c.key
	if c.route != "" {
		at = c.route + "." + c.key
	}
	if c.from == "" && c.to == "" {
		return at
	}
	return fmt.Sprintf("%s: %s → %s", at, c.from, c.to)
}

// difference is what one configuration has that another has not.
type difference struct {
	process []change            // keys that are not of a route: they take a restart
	live    []change            // of these, those that do not: secrets, and what TLS files hold
	routes  map[string][]change // of routes that both have, by name
	added   []string            // routes
	removed []string            // routes
	quotas  []string            // routes of both that have max_binds in one of them only
}

// anew lists the routes that both have and that cannot change as they live:
// each ends and begins again.
func (d *difference) anew() []string { return d.quotas }

// liveKeys are what takes effect without a restart: asked for anew at each
// connection, or by each request.
var liveKeys = []string{
	"nats.password", "nats.tls.files", "redis.password", "redis.tls.files",
	"admin.token", "admin.read_token", "admin.tls.files", "privacy.hash_key",
}

// adopt takes from another configuration what needs no restart. The password of
// another user does.
func (c *Config) adopt(next *Config) {
	if c.NATS.User == next.NATS.User {
		c.NATS.Password = next.NATS.Password
	}
	if c.Redis.User == next.Redis.User {
		c.Redis.Password = next.Redis.Password
	}
	c.NATS.TLS.Held, c.Redis.TLS.Held = next.NATS.TLS.Held, next.Redis.TLS.Held
	c.Admin.Token, c.Admin.ReadToken, c.Admin.TLS.Held = next.Admin.Token, next.Admin.ReadToken, next.Admin.TLS.Held
	c.Privacy.HashKey = next.Privacy.HashKey
}

// diff compares two configurations that Load accepted.
func diff(from, to *Config) difference {
	d := difference{routes: make(map[string][]change)}
	for _, part := range []struct {
		key      string
		from, to any
	}{{"nats", from.NATS, to.NATS}, {"redis", from.Redis, to.Redis}, {"admin", from.Admin, to.Admin}, {"worker", from.Worker, to.Worker}, {"privacy", from.Privacy, to.Privacy}} {
		for _, c := range compare(nil, "", part.key, reflect.ValueOf(part.from), reflect.ValueOf(part.to)) {
			if slices.Contains(liveKeys, c.key) {
				d.live = append(d.live, c)
			} else {
				d.process = append(d.process, c)
			}
		}
	}
	for i := range to.Routes {
		name := to.Routes[i].Name
		old, ok := from.Route(name)
		if !ok {
			d.added = append(d.added, name)
			continue
		}
		if changes := compare(nil, name, "", reflect.ValueOf(*old), reflect.ValueOf(to.Routes[i])); len(changes) > 0 {
			d.routes[name] = changes
		}
		if (old.MaxBinds == 0) != (to.Routes[i].MaxBinds == 0) {
			d.quotas = append(d.quotas, name)
		}
	}
	for i := range from.Routes {
		if _, ok := to.Route(from.Routes[i].Name); !ok {
			d.removed = append(d.removed, from.Routes[i].Name)
		}
	}
	return d
}

// compare appends the keys under path whose values differ.
func compare(all []change, route, path string, from, to reflect.Value) []change {
	if from.Kind() == reflect.Struct {
		for i := range from.NumField() {
			field := from.Type().Field(i)
			key := field.Tag.Get("yaml")
			if key == "-" {
				key = hidden(field.Name)
			}
			all = compare(all, route, join(path, key), from.Field(i), to.Field(i))
		}
		return all
	}
	if reflect.DeepEqual(from.Interface(), to.Interface()) {
		return all
	}
	c := change{route: route, key: path, from: shown(from), to: shown(to)}
	if from.Type() == reflect.TypeFor[Secret]() || strings.HasSuffix(path, "tls.files") {
		c.from, c.to = "", ""
	}
	return append(all, c)
}

// hidden is the name of what stands in no key of its own: passwords, and what
// files held.
func hidden(field string) string {
	if field == "Held" {
		return "files"
	}
	var b strings.Builder
	for i, r := range field {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// shown is a value as the configuration would have it.
func shown(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "default"
		}
		v = v.Elem()
	}
	if text := plain(v.Interface()); text != "" {
		return text
	}
	return `""`
}

// list names all that differs, for the log and for people. None is empty.
func (d *difference) list() []string {
	var all []string
	for _, c := range d.live {
		all = append(all, c.String())
	}
	for _, name := range d.added {
		all = append(all, name+": added")
	}
	for _, name := range d.removed {
		all = append(all, name+": removed")
	}
	names := make([]string, 0, len(d.routes))
	for name := range d.routes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, c := range d.routes[name] {
			all = append(all, c.String())
		}
	}
	return all
}

// restart names the keys that stay as they were until the worker is started
// again, or set up.
func (d *difference) restart() []string {
	var all []string
	for _, c := range d.process {
		switch key := c.key; key {
		case "nats.seed":
			all = append(all, "nats.nkey_file (it holds another key)")
		case "nats.replicas", "nats.results_for", "nats.jobs_max_bytes", "nats.jobs_max_per_subject":
			key += " (takes shortwire setup)"
			all = append(all, key)
		default:
			all = append(all, key)
		}
	}
	return all
}
