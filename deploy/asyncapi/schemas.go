package main

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/shortwire-sms/shortwire/dispatcher/sms"
)

// contracts are the schemas of package sms.
var contracts = []string{"job", "result", "inbound"}

// schemas are those of package sms as AsyncAPI has them: by the rules of JSON
// Schema draft-07, with definitions among the components as contract.name.
func schemas() (object, error) {
	var all object
	for _, contract := range contracts {
		data, err := sms.Schemas.ReadFile("schema/" + contract + ".schema.json")
		if err != nil {
			return nil, err
		}
		v, err := ordered(data)
		root, ok := v.(object)
		if err != nil || !ok {
			return nil, fmt.Errorf("schema of %s: %T: %w", contract, v, err)
		}
		var body object
		for _, item := range root {
			switch item.Key {
			case "$schema", "$id":
			case "$defs":
				for _, def := range item.Value.(object) {
					all = append(all, field(contract+"."+def.Key.(string), draft7(contract, def.Value)))
				}
			default:
				body = append(body, item)
			}
		}
		all = append(all, field(contract, draft7(contract, body)))
	}
	return all, nil
}

// draft7 rewrites what draft 2020-12 says otherwise: $ref beside other words,
// definitions, and the two kinds of dependencies.
func draft7(contract string, node any) any {
	switch node := node.(type) {
	case []any:
		for i := range node {
			node[i] = draft7(contract, node[i])
		}
		return node
	case object:
		return draft7Object(contract, node)
	}
	return node
}

func draft7Object(contract string, node object) object {
	var out, dependencies object
	for _, item := range node {
		value := draft7(contract, item.Value)
		switch item.Key {
		case "$ref":
			name := strings.TrimPrefix(item.Value.(string), "#/$defs/")
			target := ref("components/schemas/" + contract + "." + name)
			if len(node) == 1 {
				return target
			}
			out = append(out, field("allOf", []object{target}))
		case "dependentRequired", "dependentSchemas":
			for _, d := range value.(object) {
				dependencies = append(dependencies, yaml.MapItem{Key: d.Key, Value: d.Value})
			}
		default:
			out = append(out, yaml.MapItem{Key: item.Key, Value: value})
		}
	}
	if dependencies != nil {
		out = append(out, field("dependencies", dependencies))
	}
	return out
}
