package binds

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ClassInfo says what a class does, for documents.
type ClassInfo struct {
	Class Class
	Means string
	Job   string // what becomes of the job
	Bind  string // and of the bind that got the answer
	Route string // and of the route
}

// Classes lists every class, in the order of the constants.
func Classes() []ClassInfo {
	return []ClassInfo{
		{ClassOK, "accepted", "`submitted`", "–", "–"},
		{ClassThrottle, "too fast", "takes its place in its lane again, after five tries in a row it is tried later; loses no attempt and ends only by `expires_at`", narrowed,
			"slows down in all workers to 95 % of what the SMSC takes, when more than one in ten are such, and then finds its way back by trying; a pause of 1 s, up to 30 s, while nothing gets through; limit `throttled`"},
		{ClassRetry, "not now", "tried again after `retry.initial`, doubled each time; `failed` with code `temporary` after `retry.max_attempts`", "–", "–"},
		{ClassRetryOnce, "perhaps not now", "like `retry`, but the second time `failed` with code `rejected`; while the bind's window is being narrowed it has all its attempts", narrowed, "–"},
		{ClassMessage, "never, for this message", "`failed` with code `rejected`", "–", "–"},
		{ClassAccount, "nothing, until somebody acts: credit, permission, contract", "waits with the route; loses no attempt; one whose own service_type is refused (0x100, 0x103) is `failed` with code `rejected` and pauses nothing", "–",
			"paused, with one error in the log; one job at a time tries after `account_probe.initial`, then doubled up to `account_probe.max`; limit `account`"},
		{ClassSession, "not on this session", "like `retry`, on another bind or session", "takes no more, unbinds in good order, binds anew", "–"},
	}
}

// narrowed is what follows when an SMSC grants a smaller window than it was said to.
const narrowed = "RSUBMITFAIL and RMSGQFUL in number, while many messages are open, narrow its window"

// StatusInfo is one row of the table of command_status values, for documents.
type StatusInfo struct {
	First, Last uint32 // equal, but for a range that has no names
	Name        string
	Class       Class
	AtBind      string // how a bind refused with it is taken: "back off", "already bound", "refused"
	Meaning     string
}

// Table lists the whole range of command_status in order, without gaps: values
// that differ in nothing but their number stand together.
func Table() []StatusInfo {
	// Whatever the table and the ranges say changes at one of these.
	starts := []uint32{0, firstVendorStatus, lastVendorStatus + 1}
	for code := range statuses {
		starts = append(starts, code, code+1)
	}
	slices.Sort(starts)
	starts = slices.Compact(starts)
	table := make([]StatusInfo, len(starts))
	for i, code := range starts {
		s := row(code)
		table[i] = StatusInfo{First: code, Last: 0xFFFFFFFF, Name: s.name, Class: s.class, AtBind: classifyBind(code).String(), Meaning: s.meaning}
		if i > 0 {
			table[i-1].Last = code - 1
		}
	}
	return table
}

// ClassTable is the README's table of classes, in Markdown.
func ClassTable() string {
	var b strings.Builder
	b.WriteString("| class | the SMSC means | the job | the bind | the route | command_status |\n|---|---|---|---|---|---|\n")
	for _, c := range Classes() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", c.Class, c.Means, c.Job, c.Bind, c.Route, members(c.Class))
	}
	return b.String()
}

// members lists what is in a class, the largest one by what is not.
func members(class Class) string {
	if class == ClassMessage {
		return "all others, also 0x400–0x4FF (vendors) and above"
	}
	var all []string
	for _, code := range slices.SortedFunc(maps.Keys(statuses), cmp.Compare[uint32]) {
		if s := statuses[code]; s.class == class {
			all = append(all, fmt.Sprintf("%s (0x%02X)", strings.TrimPrefix(s.name, "ESME_"), code))
		}
	}
	if class == row(firstVendorStatus-1).class {
		all = append(all, "reserved values below 0x400")
	}
	return strings.Join(all, ", ")
}

// StatusTable is the list of all command_status values, in Markdown.
func StatusTable() string {
	var b strings.Builder
	b.WriteString("| command_status | name | class | at bind | meaning |\n|---|---|---|---|---|\n")
	for _, s := range Table() {
		code, bind := fmt.Sprintf("0x%08X", s.First), s.AtBind
		if s.Last != s.First {
			code += fmt.Sprintf("–0x%08X", s.Last)
		}
		if s.Class == ClassOK {
			bind = "bound"
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s | %s |\n", code, s.Name, s.Class, bind, s.Meaning)
	}
	return b.String()
}
