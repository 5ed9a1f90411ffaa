package gateway

import (
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/reviews"
)

// review takes reviewers' questions into the log while the gateway writes it. Where it cannot listen, the calls of
// apps are served nevertheless, and the commands that ask the log refuse: they find nobody who records them.
func (g *Gateway) review() (stop func()) {
	s, err := reviews.Listen(g.fixed.logDir, func(r *accesslog.Record) error {
		r.Time = g.now()
		_, err := g.log.Append(r)
		return err
	})
	if err != nil {
		g.logger.Error().Err(err).Msg("reviewers' questions cannot be recorded, and are refused: a socket beside access_log.dir is needed")
		return func() {}
	}
	return func() {
		if err := s.Close(); err != nil {
			g.logger.Warn().Err(err).Msg("a reviewer's question was under way")
		}
	}
}
