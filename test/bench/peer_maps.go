package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/halfdoor/halfdoor/transforms"
)

// mapPeer is the filter on encoding/json: unmarshal, prune, marshal.
type mapPeer struct{ *work }

var errBundle = errors.New("not a Bundle")

func (m mapPeer) run(in []byte, dst io.Writer) error {
	if m.lines {
		return m.each(in, dst)
	}
	dec := json.NewDecoder(bytes.NewReader(in))
	dec.UseNumber()
	var root map[string]any
	if err := dec.Decode(&root); err != nil {
		return err
	}
	if root["resourceType"] != "Bundle" {
		return errBundle
	}
	entries, _ := root["entry"].([]any)
	var left []any
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		leaves, err := m.entry(entry)
		if err != nil {
			return err
		}
		if leaves {
			left = append(left, entry)
		}
	}
	for name := range root {
		if name != "resourceType" && name != "type" {
			delete(root, name)
		}
	}
	if len(left) > 0 {
		root["entry"] = left
	}
	out, err := json.Marshal(root)
	if err != nil {
		return err
	}
	_, err = dst.Write(out)
	return err
}

// each filters NDJSON.
func (m mapPeer) each(in []byte, dst io.Writer) error {
	var out []byte
	for line := range bytes.Lines(in) {
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.UseNumber()
		var resource map[string]any
		if err := dec.Decode(&resource); err != nil {
			return err
		}
		leaves, err := m.resource(resource)
		if err != nil {
			return err
		}
		if !leaves {
			continue
		}
		b, err := json.Marshal(resource)
		if err != nil {
			return err
		}
		out = append(append(out, b...), '\n')
	}
	_, err := dst.Write(out)
	return err
}

func (m mapPeer) resource(resource map[string]any) (bool, error) {
	kind, _ := resource["resourceType"].(string)
	row := m.rows[kind]
	if row == nil {
		return false, nil
	}
	if _, err := m.object(row, resource); err != nil {
		return false, err
	}
	resource["resourceType"] = kind
	meta, _ := resource["meta"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
		resource["meta"] = meta
	}
	tags, _ := meta["tag"].([]any)
	meta["tag"] = append(tags, map[string]any{
		"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED",
	})
	return true, nil
}

func (m mapPeer) entry(entry map[string]any) (bool, error) {
	resource, _ := entry["resource"].(map[string]any)
	if leaves, err := m.resource(resource); !leaves || err != nil {
		return false, err
	}
	for name, v := range entry {
		switch name {
		case "resource":
		case "fullUrl":
			url, ok, err := m.reference(v)
			if err != nil {
				return false, err
			}
			if entry[name] = url; !ok {
				delete(entry, name)
			}
		case "search":
			search, _ := v.(map[string]any)
			for name := range search {
				if name != "mode" && name != "score" {
					delete(search, name)
				}
			}
		default:
			delete(entry, name)
		}
	}
	return true, nil
}

// object prunes what is below a rule, and reports whether anything stays.
func (m mapPeer) object(r *rule, object map[string]any) (bool, error) {
	for name, v := range object {
		kid := r.kids[name]
		if kid == nil {
			delete(object, name)
			continue
		}
		v, leaves, err := m.value(kid, v)
		if err != nil {
			return false, err
		}
		if object[name] = v; !leaves {
			delete(object, name)
		}
	}
	return len(object) > 0, nil
}

func (m mapPeer) value(r *rule, v any) (any, bool, error) {
	if r.method == transforms.Keep {
		return m.kept(r, r.allow, v)
	}
	switch x := v.(type) {
	case []any:
		left := x[:0]
		for _, e := range x {
			e, leaves, err := m.value(r, e)
			if err != nil {
				return nil, false, err
			}
			if leaves {
				left = append(left, e)
			}
		}
		return left, len(left) > 0, nil
	case map[string]any:
		if r.method == transforms.Remove {
			leaves, err := m.object(r, x)
			return x, leaves, err
		}
		if r.method != transforms.Reference {
			return nil, false, nil
		}
		address, leaves, err := m.reference(x["reference"])
		if !leaves || err != nil {
			return nil, false, err
		}
		out := map[string]any{"reference": address}
		if kind, ok := x["type"].(string); ok {
			out["type"] = kind
		}
		return out, true, nil
	case string:
		if r.method == transforms.Token {
			token, err := m.tokens.AppendToken(nil, r.kind, []byte(x))
			return string(token), true, err
		}
	}
	return nil, false, nil
}

// kept prunes what does not leave even of an element that is kept.
func (m mapPeer) kept(r *rule, allow leftOut, v any) (any, bool, error) {
	switch x := v.(type) {
	case nil:
		return nil, false, nil
	case []any:
		left := x[:0]
		some := false
		for _, e := range x {
			kept, leaves, err := m.kept(r, allow, e)
			if err != nil {
				return nil, false, err
			}
			if some = some || leaves; leaves || e == nil {
				left = append(left, kept)
			}
		}
		return left, some, nil
	case map[string]any:
		for name, v := range x {
			var kid *rule
			if r != nil {
				kid = r.kids[name]
			}
			below := allow
			if kid != nil {
				below |= kid.allow
			}
			left := leftOutOf(name)
			if _, isObject := v.(map[string]any); left == texts && !isObject {
				left = 0
			}
			if left&^below != 0 {
				delete(x, name)
				continue
			}
			var (
				kept   any
				leaves bool
				err    error
			)
			if _, isText := v.(string); isText && name == "reference" {
				kept, leaves, err = m.reference(v)
			} else {
				kept, leaves, err = m.kept(kid, below, v)
			}
			if err != nil {
				return nil, false, err
			}
			if x[name] = kept; !leaves {
				delete(x, name)
			}
		}
		return x, len(x) > 0, nil
	}
	return v, true, nil
}

func (m mapPeer) reference(v any) (string, bool, error) {
	text, ok := v.(string)
	if !ok {
		return "", false, nil
	}
	out, ok, err := m.address(nil, []byte(text))
	return string(out), ok, err
}
