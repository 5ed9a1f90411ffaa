package fhir

import "strings"

// ParamType is the type of a search parameter, in FHIR's own words.
type ParamType string

const (
	Number    ParamType = "number"
	Date      ParamType = "date"
	String    ParamType = "string"
	Token     ParamType = "token"
	Reference ParamType = "reference"
	Composite ParamType = "composite"
	Quantity  ParamType = "quantity"
	URI       ParamType = "uri"
	Special   ParamType = "special"
)

// SearchParameter is a search parameter as defined for one resource type. It
// is shared and must not be changed.
type SearchParameter struct {
	Name string
	Type ParamType

	// Elements are the paths, below the resource type and by their JSON names,
	// of all that the parameter reads ("code.coding.system",
	// "effectiveDateTime"). Nil means that this is not known: the parameter must
	// then be taken to read anything.
	Elements []string

	// Targets are the resource types that a reference parameter can point to;
	// nil for any.
	Targets []string

	// Components are the types of a composite parameter's parts, in order.
	Components []ParamType

	whole      []string // Elements before they were refined to parts of a data type
	contact    bool     // reads a ContactPoint, whose tokens have no system
	identifier bool     // reads an Identifier and nothing else
}

// Param is one search parameter of a request, or a result parameter. Values are
// the alternatives that were separated by commas, percent-decoded, but with
// FHIR's own escapes (see [Escape]) left in place; a value that replaces one
// must be escaped likewise.
type Param struct {
	// Name is the whole name in its one canonical form, without the modifier:
	// "birthdate", "patient:Patient.birthdate",
	// "_has:Observation:patient:code".
	Name     string
	Modifier string // without its colon; a resource type on references
	Values   []string

	// Definition is that of the parameter which compares the values: the last of
	// a chain. It is nil for result parameters (_count, _sort, _since, _at) and
	// for the parameters of an operation. The values of _sort are names of
	// parameters of the request's type, in order of precedence, with a leading
	// "-" for descending.
	Definition *SearchParameter

	// Links are the steps of a chain or _has, outermost first, that lead from
	// the searched type to the one of which Definition is a parameter.
	Links []Link

	sort []*SearchParameter
}

// Link is a step from one type to another, over a reference parameter.
type Link struct {
	Type       string           // the type that holds the reference
	Definition *SearchParameter // its reference parameter
	Target     string           // the type that the reference has to point to

	// Reverse is set for _has, which goes from Target to Type: what follows is
	// about Type. Otherwise what follows is about Target.
	Reverse bool
}

// On is the type of which Definition is a parameter, in a search of
// resourceType.
func (p Param) On(resourceType string) string {
	if len(p.Links) == 0 {
		return resourceType
	}
	last := p.Links[len(p.Links)-1]
	if last.Reverse {
		return last.Type
	}
	return last.Target
}

// Reads returns the paths, below the type that [Param.On] gives, of all that the
// EHR reads to act on the parameter, without what Links read; ok is false where that is not known. It is
// Definition.Elements, or, with :missing, :text and :of-type and for _sort, the whole elements of
// which these are parts: code:missing tells whether there is a code even where
// that has a hidden text alone, :text reads texts and displays, :of-type an
// identifier's type, and servers choose what of a data type they order by. With
// :identifier it is the logical identifier in each reference, which the dataset
// may well hide where it lets the reference out. _count reads nothing, _since and _at read when a version was made.
func (p Param) Reads() (elements []string, ok bool) {
	switch {
	case p.Definition == nil && p.sort == nil:
		if p.Name == "_since" || p.Name == "_at" {
			return []string{"meta.lastUpdated"}, true
		}
		return nil, p.Name == "_count"
	case p.Definition == nil:
		for _, def := range p.sort {
			if def.whole == nil {
				return nil, false
			}
			elements = append(elements, def.whole...)
		}
		return elements, true
	case p.Modifier == "missing" || p.Modifier == "text" || p.Modifier == "of-type":
		return p.Definition.whole, p.Definition.whole != nil
	case p.Modifier == "identifier":
		for _, path := range p.Definition.Elements {
			elements = append(elements, path+".identifier.system", path+".identifier.value")
		}
		return elements, p.Definition.Elements != nil
	}
	return p.Definition.Elements, p.Definition.Elements != nil
}

// Encode writes the parameter as part of a query string, percent-encoded:
// "name:modifier=v1,v2". Parse reads it back to the same parameter.
func (p Param) Encode() string {
	var b strings.Builder
	b.Grow(p.size())
	p.encode(&b)
	return b.String()
}

// size is about how long a parameter is in a query.
func (p Param) size() int {
	size := len(p.Name) + len(p.Modifier) + 2
	for _, v := range p.Values {
		size += len(v) + len(v)/4 + 9 // most of it needs no escape
	}
	return size
}

func (p Param) encode(b *strings.Builder) {
	b.WriteString(p.Name)
	if p.Modifier != "" {
		b.WriteByte(':')
		b.WriteString(p.Modifier)
	}
	b.WriteByte('=')
	for i, v := range p.Values {
		if i > 0 {
			b.WriteByte(',')
		}
		encodeValue(b, v)
	}
}

// encodeValue escapes everything but RFC 3986's unreserved characters, colon
// and slash. A semicolon, a plus or an ampersand in a value therefore means
// the same to every server, whatever it splits queries on.
func encodeValue(b *strings.Builder, v string) {
	const hex = "0123456789ABCDEF"
	for i := range len(v) {
		if c := v[i]; alphanumeric(c) || strings.IndexByte("-._~:/", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
}

func alphanumeric(c byte) bool {
	return c-'0' < 10 || c|0x20-'a' < 26
}
