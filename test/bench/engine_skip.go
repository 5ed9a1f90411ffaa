//go:build halfdoor_insecure_skip

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/halfdoor/halfdoor/gateway"
)

// left are the steps by which the engines are named that leave them out.
var left = map[string]gateway.InsecureSkip{
	"policy": {Policy: true},
	"filter": {Filter: true},
	"tokens": {Tokens: true},
	"log":    {Log: true},
	"auth":   {Authentication: true},
}

// without starts a gateway that leaves a step out.
func (s *engineSpec) without(ctx context.Context) (ready engineReady, wait func() error, err error) {
	skip, ok := left[strings.TrimPrefix(s.Engine, skipPrefix)]
	if !ok {
		return ready, nil, fmt.Errorf("no engine %q", s.Engine)
	}
	return s.compose(ctx, func(o gateway.Options) (*gateway.Gateway, error) { return gateway.NewSkipping(o, skip) }, false)
}
