package app

import (
	"reflect"
	"testing"

	"github.com/goccy/go-yaml/ast"
)

// decoderOf decodes a file into cfg, and has its keys and their lines.
func decoderOf(t *testing.T, path string, data []byte, cfg *Config) *decoder {
	t.Helper()
	d := &decoder{file: path, lines: make(map[string]int), anchors: make(map[string]ast.Node)}
	d.decode(data, cfg)
	if len(d.faults) > 0 {
		t.Fatal(d.faults)
	}
	return d
}

// keys lists the path of every key under a struct, list elements as [0].
func keys(path string, typ reflect.Type) []string {
	var all []string
	for i := range typ.NumField() {
		field := typ.Field(i)
		key := field.Tag.Get("yaml")
		if key == "-" {
			continue
		}
		at, inner := join(path, key), field.Type
		all = append(all, at)
		if inner.Kind() == reflect.Slice {
			at, inner = at+"[0]", inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			all = append(all, keys(at, inner)...)
		}
	}
	return all
}
