package app

import (
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/goccy/go-yaml/ast"
)

var durationType = reflect.TypeFor[time.Duration]()

func (d *decoder) scalar(path string, n ast.Node, v reflect.Value) {
	if _, ok := n.(ast.ScalarNode); !ok {
		d.fault(path, line(n), "must be a single value, is %s", describe(n))
		return
	}
	if v.Type() == durationType {
		d.duration(path, n, v)
		return
	}
	switch v.Kind() {
	case reflect.String:
		d.text(path, n, v)
	case reflect.Bool:
		b, ok := n.(*ast.BoolNode)
		if !ok {
			d.fault(path, line(n), "must be true or false, is %s", describe(n))
			return
		}
		v.SetBool(b.Value)
	case reflect.Float64:
		f, ok := float(n)
		if !ok {
			d.fault(path, line(n), "must be a number, is %s", describe(n))
			return
		}
		v.SetFloat(f)
	default:
		d.integer(path, n, v)
	}
}

// text takes numbers as they are written, since account names and
// versions are often made of digits.
func (d *decoder) text(path string, n ast.Node, v reflect.Value) {
	switch n := n.(type) {
	case *ast.StringNode:
		v.SetString(n.Value)
	case *ast.LiteralNode:
		v.SetString(n.Value.Value)
	case *ast.IntegerNode, *ast.FloatNode:
		v.SetString(n.GetToken().Value)
	default:
		d.fault(path, line(n), "must be text, is %s; put it in quotes", describe(n))
	}
}

func (d *decoder) integer(path string, n ast.Node, v reflect.Value) {
	node, ok := n.(*ast.IntegerNode)
	if !ok {
		d.fault(path, line(n), "must be a whole number, is %s", describe(n))
		return
	}
	var i int64
	switch value := node.Value.(type) {
	case int64:
		i = value
	case uint64:
		i = int64(min(value, math.MaxInt64))
	}
	if v.CanUint() {
		if i < 0 || v.OverflowUint(uint64(i)) {
			d.fault(path, line(n), "must be 0..%d, is %s", uint64(math.MaxUint64)>>(64-v.Type().Bits()), node.Token.Value)
			return
		}
		v.SetUint(uint64(i))
		return
	}
	v.SetInt(i)
}

func (d *decoder) duration(path string, n ast.Node, v reflect.Value) {
	text := n.GetToken().Value
	if _, isNumber := float(n); isNumber {
		if text != "0" {
			d.fault(path, line(n), "needs a unit, like %ss or %sms; is %s", text, text, text)
		}
		v.SetInt(0)
		return
	}
	t, err := time.ParseDuration(text)
	if err != nil {
		d.fault(path, line(n), "must be a duration like 500ms, 30s, 5m or 192h, is %s", describe(n))
		return
	}
	v.SetInt(int64(t))
}

func float(n ast.Node) (float64, bool) {
	switch n := n.(type) {
	case *ast.IntegerNode:
		switch i := n.Value.(type) {
		case int64:
			return float64(i), true
		case uint64:
			return float64(i), true
		}
	case *ast.FloatNode:
		return n.Value, true
	}
	return 0, false
}

// describe shows a node in a message.
func describe(n ast.Node) string {
	switch n := n.(type) {
	case *ast.SequenceNode:
		return "a list"
	case ast.MapNode:
		return "a mapping"
	case *ast.NullNode:
		return "empty"
	case *ast.LiteralNode:
		return strconv.Quote(n.Value.Value)
	case *ast.StringNode:
		return strconv.Quote(n.Value)
	}
	return n.GetToken().Value
}
