package app

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/shortwire-sms/shortwire/dispatcher/spell"
)

// Bounds, so that an alias inside its own anchor ends.
const (
	maxDepth   = 32
	maxAliases = 1000
)

// decoder fills structs from a YAML tree. Unlike yaml.Unmarshal it goes on
// after a fault, knows the path and line of each, and never converts between
// types.
type decoder struct {
	file    string
	lines   map[string]int // path → line of every key and element that stands in the file
	anchors map[string]ast.Node
	aliases int // followed so far
	faults  Faults
}

// defaulter is a struct that has values before any key is read.
type defaulter interface{ setDefaults() }

// decode reads a YAML document into the struct that into points to.
func (d *decoder) decode(data []byte, into any) {
	tree, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntax(err)
		return
	}
	for _, doc := range tree.Docs {
		ast.Walk(anchorVisitor(d.anchors), doc)
	}
	v := reflect.ValueOf(into).Elem()
	applyDefaults(v)
	switch docs := documents(tree); len(docs) {
	case 0:
		d.fault("", 0, "is empty")
	case 1:
		d.value("", docs[0], v, 0)
	default:
		d.fault("", line(docs[1]), "has a second YAML document; there must be one")
	}
}

func documents(tree *ast.File) []ast.Node {
	var bodies []ast.Node
	for _, doc := range tree.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.NullType && doc.Body.Type() != ast.CommentType {
			bodies = append(bodies, doc.Body)
		}
	}
	return bodies
}

func (d *decoder) syntax(err error) {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		d.fault("", at.GetToken().Position.Line, "is not YAML: %s", at.GetMessage())
		return
	}
	d.fault("", 0, "is not YAML: %v", err)
}

func (d *decoder) fault(path string, line int, format string, args ...any) {
	d.faults = append(d.faults, Fault{File: d.file, Line: line, Path: path, Message: fmt.Sprintf(format, args...)})
}

// value decodes n into v.
func (d *decoder) value(path string, n ast.Node, v reflect.Value, depth int) {
	if depth > maxDepth {
		d.fault(path, line(n), "is nested too deeply")
		return
	}
	n, ok := d.resolve(path, n, 0)
	if !ok || n.Type() == ast.NullType {
		return
	}
	switch {
	case v.Kind() == reflect.Pointer:
		elem := reflect.New(v.Type().Elem())
		before := len(d.faults)
		if d.value(path, n, elem.Elem(), depth+1); len(d.faults) == before {
			v.Set(elem)
		}
	case v.Kind() == reflect.Struct:
		d.structure(path, n, v, depth)
	case v.Kind() == reflect.Map:
		d.mapping(path, n, v, depth)
	case v.Kind() == reflect.Slice:
		d.list(path, n, v, depth)
	default:
		d.scalar(path, n, v)
	}
}

// resolve follows aliases and strips anchors.
func (d *decoder) resolve(path string, n ast.Node, depth int) (ast.Node, bool) {
	switch n := n.(type) {
	case *ast.AnchorNode:
		return d.resolve(path, n.Value, depth)
	case *ast.AliasNode:
		name := n.Value.String()
		target, ok := d.anchors[name]
		if !ok || depth > maxDepth {
			d.fault(path, line(n), "refers to the anchor %q, which is not defined", name)
			return nil, false
		}
		if d.aliases++; d.aliases >= maxAliases {
			if d.aliases == maxAliases {
				d.fault(path, line(n), "is the %dth use of an anchor; that is too many", maxAliases)
			}
			return nil, false
		}
		return d.resolve(path, target, depth+1)
	case *ast.TagNode:
		d.fault(path, line(n), "has a tag (%s); tags are not supported", n.Start.Value)
		return nil, false
	}
	return n, true
}

func (d *decoder) structure(path string, n ast.Node, v reflect.Value, depth int) {
	fields := fieldsByKey(v)
	for _, p := range d.pairs(path, n, depth) {
		at := join(path, p.key)
		field, ok := fields[p.key]
		if !ok {
			d.fault(at, p.line, "%s", unknownKey(p.key, fields))
			continue
		}
		d.lines[at] = p.line
		d.value(at, p.value, field, depth+1)
	}
}

// mapping decodes a mapping whose keys are the file's own.
func (d *decoder) mapping(path string, n ast.Node, v reflect.Value, depth int) {
	v.Set(reflect.MakeMap(v.Type()))
	for _, p := range d.pairs(path, n, depth) {
		at := join(path, p.key)
		d.lines[at] = p.line
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(at, p.value, elem, depth+1)
		v.SetMapIndex(reflect.ValueOf(p.key), elem)
	}
}

func unknownKey(key string, fields map[string]reflect.Value) string {
	keys := make([]string, 0, len(fields))
	for k := range fields {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	if slices.Contains(keys, key+"_env") {
		return fmt.Sprintf("must not stand in the file: name an environment variable with %s_env, or a file with %s_file", key, key)
	}
	if hint := spell.Hint(key, keys); hint != "" {
		return "is not a known key" + hint
	}
	return "is not a known key; known here: " + strings.Join(keys, ", ")
}

// pair is one key of a mapping.
type pair struct {
	key   string
	line  int
	value ast.Node
}

// pairs lists a mapping's own keys, then those merged by << that it lacks.
func (d *decoder) pairs(path string, n ast.Node, depth int) []pair {
	mapping, ok := n.(ast.MapNode)
	if !ok {
		d.fault(path, line(n), "must have keys of its own, is %s", describe(n))
		return nil
	}
	var own, merged []pair
	seen := make(map[string]bool)
	for it := mapping.MapRange(); it.Next(); {
		if it.Key().IsMergeKey() {
			merged = append(merged, d.merge(path, it.Value(), depth+1)...)
			continue
		}
		key, at := it.Key().GetToken().Value, line(it.Key())
		if seen[key] {
			d.fault(join(path, key), at, "stands here for the second time")
			continue
		}
		seen[key] = true
		own = append(own, pair{key, at, it.Value()})
	}
	for _, p := range merged {
		if !seen[p.key] {
			seen[p.key] = true
			own = append(own, p)
		}
	}
	return own
}

func (d *decoder) merge(path string, n ast.Node, depth int) []pair {
	if depth > maxDepth {
		d.fault(path, line(n), "is nested too deeply")
		return nil
	}
	n, ok := d.resolve(path, n, 0)
	if !ok {
		return nil
	}
	if list, ok := n.(*ast.SequenceNode); ok {
		var all []pair
		for _, item := range list.Values {
			all = append(all, d.merge(path, item, depth+1)...)
		}
		return all
	}
	return d.pairs(path, n, depth)
}

func (d *decoder) list(path string, n ast.Node, v reflect.Value, depth int) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fault(path, line(n), "must be a list, is %s", describe(n))
		return
	}
	for i, item := range seq.Values {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.lines[at] = line(item)
		elem := reflect.New(v.Type().Elem()).Elem()
		applyDefaults(elem)
		d.value(at, item, elem, depth+1)
		v.Set(reflect.Append(v, elem))
	}
}

func line(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func fieldsByKey(v reflect.Value) map[string]reflect.Value {
	fields := make(map[string]reflect.Value, v.NumField())
	for i := range v.NumField() {
		if key := v.Type().Field(i).Tag.Get("yaml"); key != "-" {
			fields[key] = v.Field(i)
		}
	}
	return fields
}

// applyDefaults fills a struct and the structs in it, the outer ones first.
func applyDefaults(v reflect.Value) {
	if v.Kind() != reflect.Struct {
		return
	}
	if d, ok := v.Addr().Interface().(defaulter); ok {
		d.setDefaults()
	}
	for i := range v.NumField() {
		applyDefaults(v.Field(i))
	}
}

// anchorVisitor collects anchors by name.
type anchorVisitor map[string]ast.Node

// Visit implements ast.Visitor.
func (a anchorVisitor) Visit(n ast.Node) ast.Visitor {
	if anchor, ok := n.(*ast.AnchorNode); ok {
		a[anchor.Name.String()] = anchor.Value
	}
	return a
}
