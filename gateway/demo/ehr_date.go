package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// A span is the time that a date, dateTime, instant or Period means: from
// (included) to (excluded). A zero time is open.
type span struct{ from, to time.Time }

var dateLayouts = []struct {
	layout string
	years  int
	months int
	rest   time.Duration
}{
	{"2006", 1, 0, 0},
	{"2006-01", 0, 1, 0},
	{"2006-01-02", 0, 0, 24 * time.Hour},
	{"2006-01-02T15:04Z07:00", 0, 0, time.Minute},
	{"2006-01-02T15:04", 0, 0, time.Minute},
	{"2006-01-02T15:04:05Z07:00", 0, 0, time.Second},
	{"2006-01-02T15:04:05", 0, 0, time.Second},
}

func parseSpan(s string) (span, error) {
	for _, l := range dateLayouts {
		from, err := time.Parse(l.layout, s)
		if err != nil {
			continue
		}
		rest := l.rest
		if strings.Contains(s, ".") { // a layout of seconds takes fractions too
			rest = time.Millisecond
		}
		return span{from, from.AddDate(l.years, l.months, 0).Add(rest)}, nil
	}
	return span{}, fmt.Errorf("not a date: %q", s)
}

// spanOf reads an element; false where it has no time.
func spanOf(v gjson.Result) (span, bool) {
	if !v.IsObject() {
		s, err := parseSpan(v.Str)
		return s, err == nil
	}
	start, startErr := parseSpan(v.Get("start").Str)
	end, endErr := parseSpan(v.Get("end").Str)
	s := span{start.from, end.to}
	return s, startErr == nil || endErr == nil
}

// endsBy and startsAt compare an end or a start, either of which may be open.
func (s span) endsBy(t time.Time) bool   { return !s.to.IsZero() && !s.to.After(t) }
func (s span) startsAt(t time.Time) bool { return !s.from.IsZero() && !s.from.Before(t) }

// match compares the element's span with the one asked for
// (https://hl7.org/fhir/R4/search.html#prefix).
func (s span) match(prefix string, asked span) bool {
	within := s.startsAt(asked.from) && s.endsBy(asked.to)
	switch prefix {
	case "eq":
		return within
	case "ne":
		return !within
	case "gt": // some of it lies after what was asked
		return !s.endsBy(asked.to)
	case "lt":
		return !s.startsAt(asked.from)
	case "ge":
		return within || !s.endsBy(asked.to)
	case "le":
		return within || !s.startsAt(asked.from)
	case "sa":
		return s.startsAt(asked.to)
	case "eb":
		return s.endsBy(asked.from)
	}
	return false
}

// splitPrefix parts "ge2026" into "ge" and "2026".
func splitPrefix(s string) (prefix, rest string) {
	if len(s) > 2 && s[0] >= 'a' && s[0] <= 'z' {
		return s[:2], s[2:]
	}
	return "eq", s
}
