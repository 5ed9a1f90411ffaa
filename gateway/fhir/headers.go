package fhir

import (
	"slices"
	"strconv"
	"strings"
)

// values are the values of a header in whatever case its name stands.
func values(header map[string][]string, name string) []string {
	var all []string
	for key, v := range header {
		if strings.EqualFold(key, name) {
			all = append(all, v...)
		}
	}
	return all
}

// single is the value of a header that may stand once; "" where it does not.
func single(header map[string][]string, name string) (string, *Error) {
	all := values(header, name)
	if len(all) > 1 || len(all) == 1 && strings.TrimSpace(all[0]) == "" {
		return "", &Error{Kind: MalformedHeader, Param: name}
	}
	if len(all) == 0 {
		return "", nil
	}
	return strings.TrimSpace(all[0]), nil
}

// preconditions are headers that make a request depend on something. A read may
// ignore them: it answers more than it had to. To ignore one on a write would
// do what the client did not want.
var preconditions = []string{
	"If-Match", "If-None-Match", "If-None-Exist", "If-Modified-Since", "If-Unmodified-Since", "Content-Range",
}

// headers reads those that say how the interaction is meant.
func (p *parser) headers(header map[string][]string) *Error {
	r, is := &p.request, p.request.Interaction
	prefer := values(header, "Prefer")
	if is.Searches() || is.History() || is == Read || is == VRead || is == Capabilities {
		p.lenient = strings.EqualFold(preference(prefer, "handling"), "lenient")
		if is == Read {
			if lines := values(header, "If-None-Match"); len(lines) == 1 {
				r.IfNoneMatch, _ = version(lines[0])
			}
		}
		return nil
	}
	for _, name := range preconditions {
		acts := name == "If-Match" && (is == Update || is == Patch || is == Delete) || name == "If-None-Exist" && is == Create
		if !acts && values(header, name) != nil {
			return &Error{Kind: UnsupportedHeader, Param: name}
		}
	}
	etag, e := single(header, "If-Match")
	if e != nil {
		return e
	}
	if etag != "" {
		var ok bool
		if r.IfMatch, ok = version(etag); !ok {
			return &Error{Kind: MalformedHeader, Param: "If-Match"}
		}
	}
	key, e := single(header, "Idempotency-Key")
	if e != nil {
		return e
	}
	if r.IdempotencyKey = bare(key); key != "" && !keyed(r.IdempotencyKey) {
		return &Error{Kind: MalformedHeader, Param: "Idempotency-Key"}
	}
	if is.Writes() || is == Batch {
		for _, known := range [...]string{"minimal", "representation", "OperationOutcome"} {
			if strings.EqualFold(preference(prefer, "return"), known) {
				r.Return = known
			}
		}
	}
	return nil
}

// version reads an entity tag that names a version: W/"3". FHIR's are weak
// (http.html, section 3.1.0.1.4), but strong ones are sent as well. A list and
// "*" name no version.
func version(etag string) (string, bool) {
	quoted := strings.TrimPrefix(strings.TrimSpace(etag), "W/")
	id := bare(quoted)
	if id == quoted || !ValidID(id) {
		return "", false
	}
	return id, true
}

// bare takes the quotes off a quoted string.
func bare(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// keyed reports whether s can be an idempotency key: up to 128 visible
// characters that a structured header's string needs no escape for.
func keyed(s string) bool {
	return s != "" && len(s) <= 128 && strings.IndexFunc(s, func(c rune) bool {
		return c <= ' ' || c > '~' || c == '"' || c == '\\' || c == ','
	}) < 0
}

// criteria reads the condition of a create: If-None-Exist holds a query string
// (http.html, section 3.1.0.8.1).
func (p *parser) criteria(header map[string][]string) *Error {
	name := "If-None-Exist"
	if values(header, name) == nil {
		return nil
	}
	query, e := single(header, name)
	if e != nil {
		return e
	}
	pairs, e := p.limits.pairs(query)
	if e != nil && e.Kind == MalformedQuery {
		return &Error{Kind: MalformedHeader, Param: name}
	}
	if e != nil {
		return e
	}
	p.request.Conditional = true
	for _, one := range pairs {
		if slices.Contains(reserved, one.head) && one.head != "_has" {
			return &Error{Kind: NotSupported, Param: one.head}
		}
		if e := p.criterion(one); e != nil {
			return e
		}
	}
	return nil
}

// Wait is for how many seconds a client says that it waits for its answer (RFC
// 7240, section 4.3); false where it does not say, or not in that form, which
// section 2 has a server pass over. More than a day is a day.
func Wait(header map[string][]string) (seconds int, said bool) {
	text := preference(values(header, "Prefer"), "wait")
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds > 24*60*60 {
		seconds = 24 * 60 * 60 // also of more digits than a number has
	}
	return seconds, true
}

// preference is the value of a preference in Prefer, without quotes; the first
// instance counts (RFC 7240, section 2).
func preference(prefer []string, want string) string {
	for _, line := range prefer {
		for one := range strings.SplitSeq(line, ",") {
			one, _, _ = strings.Cut(one, ";")
			name, value, _ := strings.Cut(one, "=")
			if strings.EqualFold(strings.TrimSpace(name), want) {
				return bare(strings.TrimSpace(value))
			}
		}
	}
	return ""
}
