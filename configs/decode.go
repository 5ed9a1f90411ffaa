package configs

import (
	"bytes"
	"encoding"
	"errors"
	"io"
	"net/netip"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decode reads a document into c, which has its defaults, and reports what is wrong with its form: YAML's grammar, keys,
// and the kind and spelling of each value. What the values mean is validate's business. Text is taken as it is written:
// "id: 123", "id: no" and "id: 1.3" are texts where a text is wanted. It returns false where the document could not be
// read at all, so that there is nothing to judge.
func decode(c *Config, data []byte, r *report) bool {
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return true // an empty file lacks what is required: validate says so
	case err != nil:
		r.grammar(err)
		return false
	}
	var next yaml.Node
	switch err := d.Decode(&next); {
	case err == nil:
		r.addAt(next.Line, "", "a second document; a configuration is one")
	case !errors.Is(err, io.EOF):
		r.grammar(err)
		return false
	}
	r.decodeStruct("", doc.Content[0], reflect.ValueOf(c).Elem())
	return true
}

var (
	grammarLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	secretType  = reflect.TypeFor[Secret]()
	prefixType  = reflect.TypeFor[netip.Prefix]()
)

// grammar reports an error of the YAML parser, less the one of its messages that quotes the document: a secret that was
// written out may begin with "*".
func (r *report) grammar(err error) {
	text, line := err.Error(), 0
	if m := grammarLine.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		line, _ = strconv.Atoi(m[1])
	}
	if strings.HasPrefix(text, "unknown anchor") {
		text = "anchors and aliases are not part of a configuration"
	}
	r.addAt(line, "", "not YAML: %s", text)
}

// plain reports what a configuration has no use for on any node, and tells whether the node may be read on.
func (r *report) plain(path string, n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.addAt(n.Line, path, "anchors and aliases are not part of a configuration")
	case n.Style&yaml.TaggedStyle != 0:
		r.addAt(n.Line, path, "tags are not part of a configuration")
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		r.addAt(n.Line, path, "no value; give one or leave the key out")
	default:
		return true
	}
	return false
}

func (r *report) decodeStruct(path string, n *yaml.Node, v reflect.Value) {
	if !r.plain(path, n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.addAt(n.Line, path, "want keys and values, found %s", kind(n))
		return
	}
	fields := fieldsOf(v.Type())
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			r.addAt(key.Line, join(path, "<<"), "merge keys are not part of a configuration")
			continue
		}
		if key.Kind != yaml.ScalarNode || key.Anchor != "" || key.Style&yaml.TaggedStyle != 0 {
			r.addAt(key.Line, path, "a key must be a plain word")
			continue
		}
		at := join(path, shown(key.Value))
		if line, ok := seen[key.Value]; ok {
			r.addAt(key.Line, at, "given twice, first on line %d", line)
			continue
		}
		seen[key.Value] = key.Line
		field, ok := fields[key.Value]
		if !ok {
			r.unknown(path, key, v.Type())
			continue
		}
		r.lines[at] = key.Line
		r.decodeValue(at, value, v.Field(field))
	}
}

func (r *report) decodeValue(path string, n *yaml.Node, v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if d, ok := v.Addr().Interface().(defaulter); ok {
		d.defaults()
	}
	switch {
	case v.Type() == secretType, v.Type() == prefixType:
		r.decodeScalar(path, n, v)
	case v.Kind() == reflect.Struct:
		r.decodeStruct(path, n, v)
	case v.Kind() == reflect.Slice:
		r.decodeList(path, n, v)
	default:
		r.decodeScalar(path, n, v)
	}
}

func (r *report) decodeList(path string, n *yaml.Node, v reflect.Value) {
	if !r.plain(path, n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.addAt(n.Line, path, "want a list, found %s", kind(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		at := index(path, i)
		r.lines[at] = item.Line
		r.decodeValue(at, item, v.Index(i))
	}
}

func (r *report) decodeScalar(path string, n *yaml.Node, v reflect.Value) {
	if !r.plain(path, n) {
		return
	}
	if n.Kind != yaml.ScalarNode {
		r.addAt(n.Line, path, "want a single value, found %s", kind(n))
		return
	}
	switch p := v.Addr().Interface().(type) {
	case *Secret:
		p.reference = n.Value // judged and fetched by fetch
		return
	case *netip.Prefix:
		prefix, err := parsePrefix(n.Value)
		if err != nil {
			r.addAt(n.Line, path, "%s", err)
		}
		*p = prefix
		return
	case encoding.TextUnmarshaler:
		if err := p.UnmarshalText([]byte(n.Value)); err != nil {
			r.addAt(n.Line, path, "%s", err)
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
	case reflect.Bool:
		if n.ShortTag() != "!!bool" || n.Value != "true" && n.Value != "false" {
			r.addAt(n.Line, path, "want true or false")
			return
		}
		v.SetBool(n.Value == "true")
	case reflect.Int:
		i, err := strconv.Atoi(n.Value)
		if err != nil || n.ShortTag() != "!!int" {
			r.addAt(n.Line, path, "want a whole number")
			return
		}
		v.SetInt(int64(i))
	default:
		panic("configs: no decoding for " + v.Type().String())
	}
}

// parsePrefix reads a network or a single address.
func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, errors.New(`want a network like "10.2.0.0/16", or an address`)
	}
	if masked := prefix.Masked(); masked != prefix {
		return netip.Prefix{}, errors.New("bits are set beyond the prefix length; did you mean " + masked.String() + "?")
	}
	return prefix, nil
}

func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	default:
		return "a single value"
	}
}
