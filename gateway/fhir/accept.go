package fhir

import (
	"strconv"
	"strings"
)

// overridden reports whether a header asks a server to take the request for one
// with another method: X-HTTP-Method-Override, X-HTTP-Method, X-Method-Override
// and whatever looks like them. Stacks disagree on which to believe.
func overridden(header map[string][]string) bool {
	for name := range header {
		if name == "" || name[0]|0x20 != 'x' {
			continue
		}
		// Some servers take an underscore for a hyphen.
		name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
		if strings.HasPrefix(name, "x-http-method") || strings.HasPrefix(name, "x-method") {
			return true
		}
	}
	return false
}

// isJSON reports whether a media type or _format code means FHIR's JSON
// (http.html, section 3.1.0.1.11). An unescaped plus that a form decoder made
// a space is forgiven: nothing hangs on it.
func isJSON(media string) bool {
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "json", "application/json", "application/fhir+json", "application/fhir json", "text/json":
		return true
	}
	return false
}

// formatted reports whether a _format value asks for R4 JSON.
func formatted(value string) bool {
	media, params, _ := strings.Cut(value, ";")
	if !isJSON(media) {
		return false
	}
	r4, _ := mediaParameters(params)
	return r4
}

// acceptable reports whether Accept admits application/fhir+json or
// application/json: for each, the most specific range that matches it decides,
// and a quality of zero excludes (RFC 9110, section 12.5.1). A range that
// cannot be read matches nothing.
func acceptable(header []string) bool {
	if len(header) == 0 {
		return true
	}
	seen := false
	for _, media := range [...]string{"application/fhir+json", "application/json"} {
		best, good := 0, false
		for _, line := range header {
			for one := range strings.SplitSeq(line, ",") {
				name, params, _ := strings.Cut(one, ";")
				name = strings.ToLower(strings.TrimSpace(name))
				if name == "" {
					continue
				}
				seen = true
				specific := 0
				switch name {
				case media:
					specific = 3
				case "application/*":
					specific = 2
				case "*/*":
					specific = 1
				}
				r4, quality := mediaParameters(params)
				if specific == 0 || !r4 || specific < best {
					continue
				}
				if specific > best {
					best, good = specific, false
				}
				good = good || quality > 0
			}
		}
		if good {
			return true
		}
	}
	return !seen // an empty Accept says nothing
}

// mediaParameters reads fhirVersion and q; others do not matter. A malformed
// quality is zero.
func mediaParameters(params string) (r4 bool, quality float64) {
	r4, quality = true, 1
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(p, "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "fhirversion":
			r4 = value == "4.0" || value == "4.0.1"
		case "q":
			q, err := strconv.ParseFloat(value, 64)
			if err != nil || !(q >= 0 && q <= 1) {
				q = 0
			}
			quality = q
		}
	}
	return r4, quality
}
