package binds

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ParseOverrides reads a route's classes: command_status, by number
// ("0x0000040A", "1034") or name ("ESME_RSUBMITFAIL"), to the name of a class.
// A name stands for every number that the table knows it by. The error joins
// one *OverrideError for each fault, ordered by key.
func ParseOverrides(classes map[string]string) (Overrides, error) {
	o, named := make(Overrides, len(classes)), make(map[uint32]string, len(classes))
	keys := make([]string, 0, len(classes))
	for key := range classes {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var faults []error
	fault := func(key, format string, args ...any) {
		faults = append(faults, &OverrideError{Key: key, Message: fmt.Sprintf(format, args...)})
	}
	for _, key := range keys {
		codes, err := parseStatus(key)
		if err != nil {
			fault(key, "%s", err)
			continue
		}
		class, err := parseClass(classes[key])
		if err != nil {
			fault(key, "%s", err)
			continue
		}
		for _, code := range codes {
			if other, twice := named[code]; twice {
				fault(key, "is the same status (0x%08X) as %s", code, other)
				continue
			}
			o[code], named[code] = class, key
		}
	}
	return o, errors.Join(faults...)
}

// OverrideError is what is wrong with one entry of ParseOverrides' map.
type OverrideError struct {
	Key     string // as it stands there
	Message string
}

// Error implements error.
func (e *OverrideError) Error() string { return e.Key + ": " + e.Message }

// parseStatus returns the values that a number or a name stands for.
func parseStatus(s string) ([]uint32, error) {
	if n, err := strconv.ParseUint(s, 0, 64); err == nil {
		switch {
		case n > 0xFFFFFFFF:
			return nil, errors.New("is no command_status: they end at 0xFFFFFFFF")
		case n == 0:
			return nil, errors.New("is ESME_ROK, which is success and nothing else")
		}
		return []uint32{uint32(n)}, nil
	}
	if code, ok := names3_4[s]; ok {
		return []uint32{code}, nil
	}
	var codes []uint32
	for code, row := range statuses {
		if row.name == s {
			codes = append(codes, code)
		}
	}
	if codes == nil {
		return nil, errors.New("is no command_status: write its number (0x00000058) or its name (ESME_RTHROTTLED)" + nearName(s))
	}
	if s == statuses[0].name {
		return nil, errors.New("is success and nothing else")
	}
	slices.Sort(codes)
	return codes, nil
}

// nearName offers the name that was probably meant.
func nearName(s string) string {
	s = strings.TrimPrefix(strings.ToUpper(s), "ESME_")
	for _, row := range statuses {
		if strings.TrimPrefix(row.name, "ESME_") == s {
			return "; did you mean " + row.name + "?"
		}
	}
	return ""
}

// parseClass returns the class that configuration calls s.
func parseClass(s string) (Class, error) {
	var names []string
	for _, info := range Classes() {
		if info.Class == ClassOK {
			continue // a refused message has no id and no receipts: it cannot be made a success
		}
		if info.Class.String() == s {
			return info.Class, nil
		}
		names = append(names, info.Class.String())
	}
	return 0, fmt.Errorf("must be one of %s, is %q", strings.Join(names, ", "), s)
}
