package main

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/halfdoor/halfdoor/transforms"
)

// pathPeer is the filter on gjson and sjson: gjson validates the whole and walks it, and sjson
// edits each resource by paths.
type pathPeer struct {
	*work
	edits []edit // of the resource at hand
}

// edit sets a value, or deletes it.
type edit struct{ path, raw string }

var errInvalid = errors.New("invalid JSON")

func (p *pathPeer) run(in []byte, dst io.Writer) error {
	if p.lines {
		return p.each(in, dst)
	}
	if !gjson.ValidBytes(in) {
		return errInvalid
	}
	root := gjson.ParseBytes(in)
	if root.Get("resourceType").Str != "Bundle" {
		return errBundle
	}
	out := []byte(`{"resourceType":"Bundle"`)
	if kind := root.Get("type"); kind.Exists() {
		out = append(append(out, `,"type":`...), kind.Raw...)
	}
	written := 0
	var err error
	root.Get("entry").ForEach(func(_, e gjson.Result) bool {
		var b []byte
		if b, err = p.entry(e); err != nil {
			return false
		}
		if b == nil {
			return true
		}
		if written++; written == 1 {
			out = append(out, `,"entry":[`...)
		} else {
			out = append(out, ',')
		}
		out = append(out, b...)
		return true
	})
	if err != nil {
		return err
	}
	if written > 0 {
		out = append(out, ']')
	}
	_, err = dst.Write(append(out, '}'))
	return err
}

// each filters NDJSON.
func (p *pathPeer) each(in []byte, dst io.Writer) error {
	var out []byte
	for line := range bytes.Lines(in) {
		if !gjson.ValidBytes(line) {
			return errInvalid
		}
		resource := gjson.ParseBytes(bytes.TrimSpace(line))
		row := p.rows[resource.Get("resourceType").Str]
		if row == nil {
			continue
		}
		b, err := p.resource(row, resource)
		if err != nil {
			return err
		}
		out = append(append(out, b...), '\n')
	}
	_, err := dst.Write(out)
	return err
}

func (p *pathPeer) entry(e gjson.Result) ([]byte, error) {
	resource := e.Get("resource")
	row := p.rows[resource.Get("resourceType").Str]
	if row == nil {
		return nil, nil
	}
	b, err := p.resource(row, resource)
	if err != nil {
		return nil, err
	}
	out, err := sjson.SetRawBytes([]byte(`{}`), "resource", b)
	if err != nil {
		return nil, err
	}
	if url := e.Get("fullUrl"); url.Type == gjson.String {
		address, ok, err := p.address(nil, []byte(url.Str))
		if err != nil {
			return nil, err
		}
		if ok {
			if out, err = sjson.SetBytes(out, "fullUrl", address); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range [...]string{"search.mode", "search.score"} {
		if v := e.Get(name); v.Exists() {
			if out, err = sjson.SetRawBytes(out, name, []byte(v.Raw)); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (p *pathPeer) resource(row *rule, v gjson.Result) ([]byte, error) {
	p.edits = p.edits[:0]
	if _, err := p.object(row, v, "", "resourceType"); err != nil {
		return nil, err
	}
	b := []byte(v.Raw)
	var err error
	// From the last, since an element's index is only good while those before it are there.
	for _, e := range slices.Backward(p.edits) {
		if e.raw == "" {
			b, err = sjson.DeleteBytes(b, e.path)
		} else {
			b, err = sjson.SetRawBytes(b, e.path, []byte(e.raw))
		}
		if err != nil {
			return nil, err
		}
	}
	return sjson.SetRawBytes(b, "meta.tag.-1", []byte(tag))
}

var special = strings.NewReplacer(`\`, `\\`, ".", `\.`, "*", `\*`, "?", `\?`, "|", `\|`, "#", `\#`, "@", `\@`, "!", `\!`, "{", `\{`, "[", `\[`)

func join(path, name string) string {
	if strings.ContainsAny(name, `\.*?|#@!{[`) {
		name = special.Replace(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// below notes the edits of a value by one of three functions, and reports whether it leaves. Where
// it does not, one edit deletes it.
func (p *pathPeer) below(path string, leaves func() (bool, error)) (bool, error) {
	at := len(p.edits)
	ok, err := leaves()
	if !ok {
		p.edits = append(p.edits[:at], edit{path: path})
	}
	return ok, err
}

func (p *pathPeer) object(r *rule, v gjson.Result, path, always string) (some bool, err error) {
	v.ForEach(func(name, v gjson.Result) bool {
		if name.Str == always {
			some = true
			return true
		}
		var ok bool
		here := join(path, name.Str)
		ok, err = p.below(here, func() (bool, error) {
			kid := r.kids[name.Str]
			if kid == nil {
				return false, nil
			}
			return p.value(kid, v, here)
		})
		some = some || ok
		return err == nil
	})
	return some, err
}

func (p *pathPeer) value(r *rule, v gjson.Result, path string) (bool, error) {
	switch {
	case r.method == transforms.Keep:
		return p.kept(r, r.allow, v, path)
	case v.IsArray():
		return p.array(v, path, func(e gjson.Result, path string) (bool, error) { return p.value(r, e, path) })
	case v.IsObject() && r.method == transforms.Remove:
		return p.object(r, v, path, "")
	case v.IsObject() && r.method == transforms.Reference:
		return p.referenceObject(v, path)
	case v.Type == gjson.String && r.method == transforms.Token:
		token, err := p.tokens.AppendToken([]byte{'"'}, r.kind, []byte(v.Str))
		p.edits = append(p.edits, edit{path, string(append(token, '"'))})
		return true, err
	}
	return false, nil
}

func (p *pathPeer) array(v gjson.Result, path string, each func(gjson.Result, string) (bool, error)) (some bool, err error) {
	i := 0
	v.ForEach(func(_, e gjson.Result) bool {
		var ok bool
		here := path + "." + strconv.Itoa(i)
		i++
		ok, err = p.below(here, func() (bool, error) { return each(e, here) })
		some = some || ok
		return err == nil
	})
	return some, err
}

func (p *pathPeer) kept(r *rule, allow leftOut, v gjson.Result, path string) (some bool, err error) {
	switch {
	case v.IsArray():
		return p.array(v, path, func(e gjson.Result, path string) (bool, error) { return p.kept(r, allow, e, path) })
	case !v.IsObject():
		return v.Type != gjson.Null, nil
	}
	v.ForEach(func(name, v gjson.Result) bool {
		var ok bool
		here := join(path, name.Str)
		ok, err = p.below(here, func() (bool, error) {
			var kid *rule
			below := allow
			if r != nil {
				if kid = r.kids[name.Str]; kid != nil {
					below |= kid.allow
				}
			}
			left := leftOutOf(name.Str)
			if left == texts && !v.IsObject() {
				left = 0
			}
			switch {
			case left&^below != 0:
				return false, nil
			case name.Str == "reference" && v.Type == gjson.String:
				return p.reference(v, here)
			}
			return p.kept(kid, below, v, here)
		})
		some = some || ok
		return err == nil
	})
	return some, err
}

func (p *pathPeer) reference(v gjson.Result, path string) (bool, error) {
	address, ok, err := p.address([]byte{'"'}, []byte(v.Str))
	if address = append(address, '"'); ok && string(address) != v.Raw {
		p.edits = append(p.edits, edit{path, string(address)})
	}
	return ok, err
}

func (p *pathPeer) referenceObject(v gjson.Result, path string) (refers bool, err error) {
	v.ForEach(func(name, v gjson.Result) bool {
		here := join(path, name.Str)
		_, err = p.below(here, func() (bool, error) {
			switch {
			case name.Str == "reference" && v.Type == gjson.String:
				refers, err = p.reference(v, here)
				return refers, err
			case name.Str == "type" && v.Type == gjson.String:
				return true, nil
			}
			return false, nil
		})
		return err == nil
	})
	return refers, err
}
