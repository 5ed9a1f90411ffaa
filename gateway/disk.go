package gateway

import (
	"fmt"

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
	if g.log.Neglect() != nil {
		all = append(all, "degraded: closed segments of the access log cannot be compressed or removed")
	}
	return all
}
