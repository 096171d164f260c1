//go:build !linux

package main

import (
	"context"
	"fmt"
)

func inNamespace() bool { return false }

func (options) enterNamespace(context.Context) (bool, error) {
	return false, fmt.Errorf("%w: network namespaces are Linux's", errUnable)
}

type island struct{}

func newIsland(context.Context, ...string) (*island, error) { return nil, errUnable }
func (*island) Close() error                                { return nil }
func (*island) wrap() []string                              { return nil }
func (*island) reach(_, address string) string              { return address }
func (*island) cut(context.Context, string) error           { return errUnable }
func (*island) heal(context.Context, string) error          { return errUnable }
