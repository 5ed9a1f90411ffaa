package fhir

import (
	"slices"
	"strings"
)

// Coding is the content coding that an answer leaves in.
type Coding struct {
	Name  string // one of those on offer; "" for none
	Plain bool   // the answer may also leave without
}

// AcceptCoding chooses by Accept-Encoding (RFC 9110, section 12.5.3) among the codings that are on offer, the best first.
// A coding is chosen where the client names it and ranks it no lower than it explicitly ranks identity; "*" names none,
// but is taken at its word where identity is excluded. A header that is not of the grammar is a [MalformedHeader], and one
// that leaves nothing a [NotAcceptable].
func AcceptCoding(header []string, offers ...string) (Coding, error) {
	ranks := make(map[string]int)
	for _, line := range header {
		for one := range strings.SplitSeq(line, ",") {
			if one = strings.Trim(one, " \t"); one == "" {
				continue // RFC 9110, section 5.6.1.2
			}
			name, weight, weighted := strings.Cut(one, ";")
			name = strings.ToLower(strings.TrimRight(name, " \t"))
			rank, ok := 1000, isToken(name)
			if weighted && ok {
				rank, ok = quality(strings.TrimLeft(weight, " \t"))
			}
			if !ok {
				return Coding{}, &Error{Kind: MalformedHeader, Param: "Accept-Encoding"}
			}
			if name == "x-gzip" {
				name = "gzip" // RFC 9110, section 8.4.1.3
			}
			if before, twice := ranks[name]; twice {
				rank = min(rank, before) // of two words the stricter
			}
			ranks[name] = rank
		}
	}
	others, any := ranks["*"]
	plain, ranked := ranks["identity"]
	var c Coding
	c.Plain = ranked && plain > 0 || !ranked && (!any || others > 0)
	best := max(plain, 1)
	for _, offer := range slices.Backward(offers) {
		if rank, named := ranks[offer]; named && rank >= best {
			c.Name, best = offer, rank
		}
	}
	if c.Name != "" || c.Plain {
		return c, nil
	}
	for _, offer := range offers {
		if _, named := ranks[offer]; !named && others > 0 {
			return Coding{Name: offer}, nil
		}
	}
	return Coding{}, &Error{Kind: NotAcceptable}
}

// quality reads a weight, in thousandths (RFC 9110, section 12.4.2).
func quality(weight string) (int, bool) {
	value, ok := strings.CutPrefix(strings.ToLower(weight), "q=")
	if !ok || value == "" || len(value) > 5 || len(value) > 1 && value[1] != '.' || value[0] != '0' && value[0] != '1' {
		return 0, false
	}
	n, unit := int(value[0]-'0')*1000, 100
	for i := 2; i < len(value); i++ {
		if value[i] < '0' || value[i] > '9' {
			return 0, false
		}
		n += int(value[i]-'0') * unit
		unit /= 10
	}
	return n, n <= 1000
}

// isToken says whether a text is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
