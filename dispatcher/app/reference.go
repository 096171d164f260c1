package app

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/shortwire-sms/shortwire/binds"
	"github.com/shortwire-sms/shortwire/dispatcher"
	"github.com/shortwire-sms/shortwire/dispatcher/internal/admin"
	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// MetricsReference lists every metric that a worker exports, as Markdown. It
// asks the instruments themselves, on a status in which everything is present.
func MetricsReference() (string, error) {
	m, err := admin.NewMetrics(&messages{time.Now(), func() []traffic { return []traffic{{route: anyText}} }})
	if err != nil {
		return "", err
	}
	if err := instrument(m.Meter(), fullStatus, func() error { return nil }); err != nil {
		return "", err
	}
	families, err := m.Gatherer().Gather()
	if err != nil {
		return "", fmt.Errorf("gather: %w", err)
	}
	var b strings.Builder
	b.WriteString("| metric | type | labels | what |\n|---|---|---|---|\n")
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "shortwire_") && !strings.HasPrefix(f.GetName(), "messaging_") {
			continue
		}
		values := make(map[string][]string)
		for _, one := range f.Metric {
			for _, l := range one.Label {
				values[l.GetName()] = append(values[l.GetName()], l.GetValue())
			}
		}
		var labels []string
		for _, name := range slices.Sorted(maps.Keys(values)) {
			labels = append(labels, labelText(name, values[name]))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), cmp.Or(strings.Join(labels, "; "), "–"), f.GetHelp())
	}
	return b.String(), nil
}

// labelText names a label and the closed set that its values are of: the one
// that is known by its name, or what the instrument itself gave it.
func labelText(name string, given []string) string {
	sets := map[string][]string{
		"kind": texts(slices.DeleteFunc(sms.Kinds(), func(k sms.Kind) bool { return !k.Terminal() })), "code": texts(sms.Codes()), "lane": texts(sms.Lanes()), "state": texts(binds.States()),
	}
	set, ok := sets[name]
	if !ok {
		set = slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(given))), func(v string) bool { return v == anyText })
	}
	if len(set) == 0 {
		return "`" + name + "`"
	}
	return "`" + name + "`: " + strings.Join(set, ", ")
}

func texts[T ~string](words []T) []string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = string(w)
	}
	return all
}

// anyText stands in fullStatus for what the configuration or an SMSC names.
const anyText = "x"

// fullStatus is a status in which no pointer, map or list is empty.
func fullStatus() (s Status) {
	fill(reflect.ValueOf(&s).Elem())
	return s
}

// fill puts something into v and all that it holds.
func fill(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(1, 0)))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i))
			}
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.String:
		v.SetString(anyText)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(1)
	default:
		if v.CanInt() {
			v.SetInt(1)
		} else if v.CanUint() {
			v.SetUint(1)
		}
	}
}

// kindMeanings is what each kind of result says.
var kindMeanings = map[sms.Kind]string{
	sms.KindSubmitted: "the SMSC accepted every part",
	sms.KindFailed:    "refused for good, or the attempts are spent; `code` says which",
	sms.KindExpired:   "`expires_at` passed before the SMSC accepted it",
	sms.KindUncertain: "written, never answered, and not to be sent again",
	sms.KindReceipt:   "what the SMSC says about one part; not terminal",
}

// codeRetried is what becomes of a job at an answer of this code, before it
// ends with it.
var codeRetried = map[sms.Code]string{
	sms.CodeInvalid:     "no; also in `SMS_DEAD`",
	sms.CodeRejected:    "no",
	sms.CodeAccount:     "the route is paused and the job waits, without losing an attempt",
	sms.CodeThrottled:   "yes, without losing an attempt",
	sms.CodeTemporary:   "yes, up to `retry.max_attempts`",
	sms.CodeUnavailable: "yes, without losing an attempt",
	sms.CodeUncertain:   "by the job's `delivery`",
	sms.CodeExpired:     "no",
}

// limitMeanings is what keeps a route from sending faster.
var limitMeanings = map[dispatcher.Limit]string{
	dispatcher.LimitNone:      "no job waits",
	dispatcher.LimitRate:      "the route's `rate` or `bind_rate` is used up",
	dispatcher.LimitThrottled: "the SMSC asked to slow down",
	dispatcher.LimitRedis:     "Redis is away, or most jobs in hand wait for it",
	dispatcher.LimitNATS:      "NATS is away, refuses results, or most jobs in hand wait for it",
	dispatcher.LimitCPU:       "the process has used nearly all its processors, or the machine has none left",
	dispatcher.LimitWindow:    "every window slot of the binds awaits an answer",
	dispatcher.LimitNoBind:    "nothing is bound",
	dispatcher.LimitStandby:   "no lease on a bind: other workers have all that the account may have, or Redis does not say",
	dispatcher.LimitAccount:   "the SMSC refuses the account",
	dispatcher.LimitPaused:    "an operator has paused it",
}

// CodesReference lists the kinds of results, their codes and what can limit a
// route, each with its meaning, as Markdown.
func CodesReference() string {
	var b strings.Builder
	b.WriteString("## Kinds of results\n\n| kind | meaning |\n|---|---|\n")
	for _, k := range sms.Kinds() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", k, kindMeanings[k])
	}
	b.WriteString("\n## Codes\n\nOf `failed`, `expired` and `uncertain` results, of dead letters and in the metric `shortwire_faults_total`.\n\n" +
		"| code | meaning | retried |\n|---|---|---|\n")
	for _, c := range sms.Codes() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c, codeMeanings[c], codeRetried[c])
	}
	b.WriteString("\n## What limits a route\n\nIn `shortwire status`, on the page and in the metric `shortwire_route_limit`.\n\n" +
		"| limit | meaning | what to do |\n|---|---|---|\n")
	for _, l := range dispatcher.Limits() {
		s, r := fullStatus(), fullStatus().Routes[0]
		r.Limit = l
		r.Slots.Error, r.Slots.Frozen = "", 0 // as most of the time
		_, advice := explain(&s, &r)
		if advice == anyText {
			advice = "what `hint` of the bind says: see `shortwire status`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", l, limitMeanings[l], cmp.Or(advice, "nothing"))
	}
	return b.String()
}
