package app

import (
	"cmp"
	"fmt"
	"io"
	"reflect"
	"slices"
	"time"

	"github.com/goccy/go-yaml"
)

// Print writes a configuration that Load accepted as YAML: each key with the
// value that holds, whether the file gives it or leaves it to its default, but
// none that is empty. A secret that was found shows as "[secret]", beside the
// key that says where.
func (c *Config) Print(w io.Writer) error {
	v, _ := printable(reflect.ValueOf(*c))
	b, err := yaml.MarshalWithOptions(v, yaml.IndentSequence(true))
	if err != nil {
		return fmt.Errorf("print configuration: %w", err)
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// printable is a value as the encoder shall have it. There is none of what is
// empty.
func printable(v reflect.Value) (value any, ok bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil, false
		}
		return v.Elem().Interface(), true
	case reflect.Struct:
		return printableKeys(v)
	case reflect.Map:
		var keys yaml.MapSlice
		for it := v.MapRange(); it.Next(); {
			keys = append(keys, yaml.MapItem{Key: it.Key().String(), Value: it.Value().String()})
		}
		slices.SortFunc(keys, func(a, b yaml.MapItem) int { return cmp.Compare(a.Key.(string), b.Key.(string)) })
		return keys, len(keys) > 0
	case reflect.Slice:
		var all []any
		for i := range v.Len() {
			one, _ := printable(v.Index(i))
			all = append(all, one)
		}
		return all, len(all) > 0
	case reflect.String:
		return fmt.Sprint(v.Interface()), v.Len() > 0 // as a Secret prints itself
	}
	if d, ok := v.Interface().(time.Duration); ok {
		return plain(d), true
	}
	return v.Interface(), true
}

func printableKeys(v reflect.Value) (yaml.MapSlice, bool) {
	var keys yaml.MapSlice
	for i := range v.NumField() {
		field := v.Type().Field(i)
		key := field.Tag.Get("yaml")
		if field.Type == reflect.TypeFor[Secret]() {
			key = hidden(field.Name)
		}
		if value, ok := printable(v.Field(i)); ok && key != "-" {
			keys = append(keys, yaml.MapItem{Key: key, Value: value})
		}
	}
	return keys, len(keys) > 0
}
