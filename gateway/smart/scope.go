package smart

import (
	"strings"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// Level is whose data a scope is about.
type Level uint8

// The zero Level is none: a Scope that was not parsed covers nothing.
const (
	Patient Level = iota + 1 // one patient: that of the launch context
	User                     // what the user may see
	System                   // what the client may see, with no user present
)

var levels = [...]string{Patient: "patient", User: "user", System: "system"}

// String is the level as it is written in a scope.
func (l Level) String() string {
	if int(l) < len(levels) {
		return levels[l]
	}
	return ""
}

// Scope is one well-formed data scope. It is not to be changed once parsed.
type Scope struct {
	Level                                Level
	Type                                 string // an R4 resource type, or "*"
	Create, Read, Update, Delete, Search bool

	// Params restrict the scope to the resources that they would find, joined by
	// AND; none, and the scope is for the whole type. They have no modifiers. On
	// "*" they are parameters that every type has.
	Params []fhir.Param
}

// ParseScopes reads the data scopes of a space-separated list (RFC 6749, section
// 3.3), in order. What is malformed, and what is no data scope, is left out.
func ParseScopes(s string) []Scope {
	var scopes []Scope
	for token := range strings.SplitSeq(s, " ") {
		if scope, ok := ParseScope(token); ok {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// ParseScope reads one data scope:
//
//	(patient|user|system)/(Type|*).c?r?u?d?s?[?name=value[&name=value]...]
//	(patient|user|system)/(Type|*).(read|write|*)
//
// It reports false where the token is not exactly one.
func ParseScope(token string) (Scope, bool) {
	if !plain(token) {
		return Scope{}, false
	}
	level, rest, ok := strings.Cut(token, "/")
	if !ok {
		return Scope{}, false
	}
	var s Scope
	switch level {
	case "patient":
		s.Level = Patient
	case "user":
		s.Level = User
	case "system":
		s.Level = System
	default:
		return Scope{}, false
	}
	rest, query, granular := strings.Cut(rest, "?")
	s.Type, rest, ok = strings.Cut(rest, ".")
	if !ok || s.Type != "*" && !fhir.Known(s.Type) {
		return Scope{}, false
	}
	if s.grant(rest) {
		return s, !granular // SMART 1 knows no parameters
	}
	if !s.letters(rest) {
		return Scope{}, false
	}
	if granular {
		s.Params, ok = params(s.Type, query)
		return s, ok
	}
	return s, true
}

// plain reports whether a token has only the characters of RFC 6749's scope-token:
// a tab or a line break does not separate two scopes, it spoils one.
func plain(token string) bool {
	for i := range len(token) {
		if c := token[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return token != ""
}

// grant reads a SMART 1 permission: read is rs, write is cud.
func (s *Scope) grant(v1 string) bool {
	read, write := v1 == "read" || v1 == "*", v1 == "write" || v1 == "*"
	s.Read, s.Search = read, read
	s.Create, s.Update, s.Delete = write, write, write
	return read || write
}

// letters reads a SMART 2 permission: a part of "cruds", in that order, not empty.
func (s *Scope) letters(v2 string) bool {
	rest := v2
	for _, l := range []struct {
		letter string
		into   *bool
	}{{"c", &s.Create}, {"r", &s.Read}, {"u", &s.Update}, {"d", &s.Delete}, {"s", &s.Search}} {
		rest, *l.into = strings.CutPrefix(rest, l.letter)
	}
	return rest == "" && v2 != ""
}

// String writes the scope in SMART 2's form; ParseScope reads it back the same.
func (s Scope) String() string {
	var b strings.Builder
	b.WriteString(s.Level.String() + "/" + s.Type + ".")
	for _, l := range []struct {
		letter byte
		has    bool
	}{{'c', s.Create}, {'r', s.Read}, {'u', s.Update}, {'d', s.Delete}, {'s', s.Search}} {
		if l.has {
			b.WriteByte(l.letter)
		}
	}
	for i, p := range s.Params {
		b.WriteByte("?&"[min(i, 1)])
		b.WriteString(p.Encode())
	}
	return b.String()
}
