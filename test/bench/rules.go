package main

import (
	"bytes"
	"strings"

	"github.com/halfdoor/halfdoor/test/bench/cases"
	"github.com/halfdoor/halfdoor/transforms"
)

// The dataset as the peers see it: a tree of names. They do what the filter does as far as the
// cases need it, and no more: no subjects, no report, no compartments, labels or siblings with an
// underscore, no windows. That is to their advantage.

// rule says how an element leaves; without a method, its kids say.
type rule struct {
	method transforms.Method
	kind   string // of its tokens
	allow  leftOut
	kids   map[string]*rule
}

// leftOut is a set of the names that leave with a kept element only where a row names them.
type leftOut uint8

const (
	extensions leftOut = 1 << iota
	modifiers
	contained
	divs
	displays
	texts
)

func leftOutOf(name string) leftOut {
	switch name {
	case "extension":
		return extensions
	case "modifierExtension":
		return modifiers
	case "contained":
		return contained
	case "div":
		return divs
	case "display":
		return displays
	case "text":
		return texts
	}
	return 0
}

// work is what every peer is given.
type work struct {
	rows     map[string]*rule
	tokens   transforms.Tokenizer
	lines    bool   // the document is NDJSON
	absolute string // the EHR's base, with a slash
	gateway  string // the gateway's
}

func newWork(c *cases.Case) *work {
	w := &work{rows: map[string]*rule{}, lines: c.Lines, absolute: cases.EHR + "/", gateway: cases.Base + "/"}
	for kind, row := range c.Dataset.Resources {
		root := &rule{kids: map[string]*rule{}}
		for path, r := range row {
			at, last := root, ""
			for name := range strings.SplitSeq(path, ".") {
				if at.kids == nil {
					at.kids = map[string]*rule{}
				}
				if at.kids[name] == nil {
					at.kids[name] = &rule{}
				}
				at, last = at.kids[name], name
			}
			at.method, at.allow, at.kind = r.Method, leftOutOf(last), kind+"."+path
			if path == "id" {
				at.kind = kind
			}
			if at.allow == texts {
				at.allow |= divs
			}
		}
		w.rows[kind] = root
	}
	return w
}

// address appends what a reference becomes, and reports whether it leaves at all.
func (w *work) address(dst, text []byte) ([]byte, bool, error) {
	rest, absolute := bytes.CutPrefix(text, []byte(w.absolute))
	kind, id, found := bytes.Cut(rest, []byte("/"))
	if !found || !isName(kind) || !isID(id) {
		return dst, false, nil
	}
	if absolute {
		dst = append(dst, w.gateway...)
	}
	dst = append(append(dst, kind...), '/')
	dst, err := w.tokens.AppendToken(dst, string(kind), id)
	return dst, true, err
}

func isName(b []byte) bool {
	for _, c := range b {
		if c |= 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return len(b) > 0
}

func isID(b []byte) bool {
	for _, c := range b {
		if l := c | 0x20; (l < 'a' || l > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return len(b) > 0 && len(b) <= 64
}

const (
	tag     = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}`
	tagMeta = `{"tag":[` + tag + `]}`
)
