package delivery

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/logging"
	"github.com/rs/zerolog"
)

// voice is what OPA's plugins say, in the operator's log. Debug messages are left out: they hold what servers answer.
type voice struct{ to zerolog.Logger }

func (v voice) say(e *zerolog.Event, format string, a []any) {
	if len(a) > 0 {
		format = fmt.Sprintf(format, a...)
	}
	e.Msg(format)
}

func (v voice) Debug(string, ...any)          {}
func (v voice) Info(format string, a ...any)  { v.say(v.to.Info(), format, a) }
func (v voice) Warn(format string, a ...any)  { v.say(v.to.Warn(), format, a) }
func (v voice) Error(format string, a ...any) { v.say(v.to.Error(), format, a) }

// WithFields is the logger with fields besides.
func (v voice) WithFields(fields map[string]any) logging.Logger {
	return voice{v.to.With().Fields(fields).Logger()}
}

func (v voice) GetLevel() logging.Level { return logging.Info }
func (v voice) SetLevel(logging.Level)  {}
