package gateway

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// logNews tells the operator's log what is new of the access log's disk and upkeep.
func logNews(logger zerolog.Logger) func(accesslog.Space, error) {
	return func(s accesslog.Space, neglect error) {
		e := logger.Info()
		if s.Low || s.Spent || neglect != nil {
			e = logger.Warn()
		}
		e.Int64("free_bytes", s.Free).Bool("low", s.Low).Bool("reserve_spent", s.Spent).AnErr("upkeep", neglect).Msg("the access log's disk")
	}
}

// crowded is what an operator should see to on the access log's disk.
func (g *Gateway) crowded() []string {
	var all []string
	s := g.log.Space()
	if s.Low {
		all = append(all, fmt.Sprintf("degraded: the access log's disk has %d bytes left", s.Free))
	}
	if s.Spent {
		all = append(all, "degraded: the access log's reserve is spent: refusals before authentication are only summed")
	}
	if held, neglect := g.neglect(); neglect != nil {
		all = append(all, "degraded: closed segments of the access log cannot be compressed or removed")
	} else if held != nil {
		all = append(all, "degraded: "+held.Error())
	}
	return all
}

// neglect is what of the access log waits for somebody, or why its segments cannot be seen to.
func (g *Gateway) neglect() (held *accesslog.Held, err error) {
	if err = g.log.Neglect(); errors.As(err, &held) {
		return held, nil
	}
	return nil, err
}

// holders are the sinks and witnesses, for whom retention waits. Until they are open nobody knows how far they are.
type holders struct{ gateway atomic.Pointer[Gateway] }

// of makes them known.
func (h *holders) of(g *Gateway) {
	h.gateway.Store(g)
	g.log.Tidy()
}

func (h *holders) known() ([]accesslog.Holder, bool) {
	g := h.gateway.Load()
	if g == nil {
		return nil, false
	}
	var all []accesslog.Holder
	for _, s := range g.outlets.statuses() {
		all = append(all, accesslog.Holder{Name: "the sink " + s.Name, Next: s.Delivered})
	}
	for _, s := range g.watchers.statuses() {
		if s.Cosigned > 0 { // to one that has cosigned nothing, nothing has to be proven
			all = append(all, accesslog.Holder{Name: "the witness " + s.Name, Next: s.Cosigned})
		}
	}
	return all, true
}
