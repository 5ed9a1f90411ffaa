package transforms_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/transforms"
)

// notes is a dataset of which one element takes any JSON, to patch it.
const notes = `{"resources": {"Basic": {"a": "keep", "b": "keep", "c.d": "keep", "e": "year"}}, "write": {"Basic": ["a", "b", "c.d"]}}`

// TestPatch is a table of patches after RFC 6902, of its sections and its appendix, to the letter.
func TestPatch(t *testing.T) {
	f := load(t, "notes", notes)
	for _, c := range []struct {
		name, is, patch, want string
		err                   error
		at                    string
	}{
		{"nothing", `"a":{"x":1}`, ``, `"a":{"x":1}`, nil, ""},
		{"add a member", `"a":{"foo":"bar"}`, `{"op":"add","path":"/a/baz","value":"qux"}`, `"a":{"foo":"bar","baz":"qux"}`, nil, ""},
		{"add over a member", `"a":{"foo":"bar"}`, `{"op":"add","path":"/a/foo","value":"qux"}`, `"a":{"foo":"qux"}`, nil, ""},
		{"add over a member of another shape", `"a":{"foo":"bar"}`, `{"op":"add","path":"/a/foo","value":["qux"]}`, "", transforms.ErrNotWritable, "a.foo"},
		{"add an element", `"a":["bar","baz"]`, `{"op":"add","path":"/a/1","value":"qux"}`, `"a":["bar","qux","baz"]`, nil, ""},
		{"add an element at the end", `"a":["bar"]`, `{"op":"add","path":"/a/1","value":"qux"}`, `"a":["bar","qux"]`, nil, ""},
		{"add an element after the end", `"a":["bar"]`, `{"op":"add","path":"/a/2","value":"qux"}`, "", transforms.ErrPatchPlace, "[0]"},
		{"add an array value", `"a":["foo"]`, `{"op":"add","path":"/a/-","value":["abc","def"]}`, `"a":["foo",["abc","def"]]`, nil, ""},
		{"add nested", `"a":{"foo":"bar"}`, `{"op":"add","path":"/a/child","value":{"grandchild":{"x":1.50}}}`, `"a":{"foo":"bar","child":{"grandchild":{"x":1.50}}}`, nil, ""},
		{"add below nothing", `"a":{"foo":"bar"}`, `{"op":"add","path":"/a/baz/bat","value":"qux"}`, "", transforms.ErrPatchPlace, "[0]"},
		{"add below a text", `"a":"foo"`, `{"op":"add","path":"/a/b","value":"qux"}`, "", transforms.ErrPatchPlace, "[0]"},
		{"add a new element", ``, `{"op":"add","path":"/b","value":"x"}`, `"b":"x"`, nil, ""},
		{"members unknown are ignored", `"a":1`, `{"op":"replace","path":"/a","value":2,"xyz":123}`, `"a":2`, nil, ""},
		{"remove a member", `"a":{"baz":"qux","foo":"bar"}`, `{"op":"remove","path":"/a/baz"}`, `"a":{"foo":"bar"}`, nil, ""},
		{"remove an element", `"a":["bar","qux","baz"]`, `{"op":"remove","path":"/a/1"}`, `"a":["bar","baz"]`, nil, ""},
		{"remove the whole element", `"a":1,"x":2`, `{"op":"remove","path":"/a"}`, `"x":2`, nil, ""},
		{"remove nothing", `"a":1`, `{"op":"remove","path":"/b"}`, "", transforms.ErrPatchPlace, "[0]"},
		{"remove at the end", `"a":[1]`, `{"op":"remove","path":"/a/-"}`, "", transforms.ErrPatchPlace, "[0]"},
		{"replace", `"a":{"baz":"qux","foo":"bar"}`, `{"op":"replace","path":"/a/baz","value":"boo"}`, `"a":{"baz":"boo","foo":"bar"}`, nil, ""},
		{"replace nothing", `"a":1`, `{"op":"replace","path":"/b","value":1}`, "", transforms.ErrPatchPlace, "[0]"},
		{"move", `"a":{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}`, `{"op":"move","from":"/a/foo/waldo","path":"/a/qux/thud"}`,
			`"a":{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}`, nil, ""},
		{"move in a list", `"a":["all","grass","cows","eat"]`, `{"op":"move","from":"/a/1","path":"/a/3"}`, `"a":["all","cows","eat","grass"]`, nil, ""},
		{"move to itself", `"a":{"x":1}`, `{"op":"move","from":"/a","path":"/a"}`, `"a":{"x":1}`, nil, ""},
		{"move into itself", `"a":{"x":1}`, `{"op":"move","from":"/a","path":"/a/y"}`, "", transforms.ErrPatch, "[0]"},
		{"move beside itself", `"a":{"x":1}`, `{"op":"move","from":"/a/x","path":"/a/xx"}`, `"a":{"xx":1}`, nil, ""},
		{"move nothing", `"a":{"x":1}`, `{"op":"move","from":"/b","path":"/a"}`, "", transforms.ErrPatchPlace, "[0]"},
		{"copy", `"a":{"x":[1]}`, `{"op":"copy","from":"/a/x","path":"/b"},{"op":"add","path":"/b/-","value":2}`, `"a":{"x":[1]},"b":[1,2]`, nil, ""},
		{"copy into itself", `"a":{"x":1}`, `{"op":"copy","from":"/a","path":"/a/y"}`, `"a":{"x":1,"y":{"x":1}}`, nil, ""},
		{"copy nothing", `"a":{"x":1}`, `{"op":"copy","from":"/a/y","path":"/b"}`, "", transforms.ErrPatchPlace, "[0]"},
		{"test", `"a":{"baz":"qux","foo":["a",2,"c"]}`, `{"op":"test","path":"/a/baz","value":"qux"},{"op":"test","path":"/a/foo/1","value":2.0},{"op":"replace","path":"/a","value":{"x":1}}`, `"a":{"x":1}`, nil, ""},
		{"replace by another shape", `"a":{"baz":"qux"}`, `{"op":"replace","path":"/a","value":1}`, "", transforms.ErrNotWritable, "a"},
		{"test that fails", `"a":"qux"`, `{"op":"replace","path":"/a","value":1},{"op":"test","path":"/a","value":"bar"}`, "", transforms.ErrPatchTest, "[1]"},
		{"test of nothing", `"a":"qux"`, `{"op":"test","path":"/b","value":null}`, "", transforms.ErrPatchPlace, "[0]"},
		{"test of another type", `"a":"10"`, `{"op":"test","path":"/a","value":10}`, "", transforms.ErrPatchTest, "[0]"},
		{"test with escapes", `"a":"\u00e9"`, `{"op":"test","path":"/a","value":"é"}`, `"a":"\u00e9"`, nil, ""},
		{"test of an object in another order", `"a":{"x":1,"y":{"z":[true]}}`, `{"op":"test","path":"/a","value":{"y":{"z":[true]},"x":1e0}}`, `"a":{"x":1,"y":{"z":[true]}}`, nil, ""},
		{"test of an object with more", `"a":{"x":1}`, `{"op":"test","path":"/a","value":{"x":1,"y":1}}`, "", transforms.ErrPatchTest, "[0]"},
		{"escapes of pointers", `"a":{"/":9,"~1":10}`, `{"op":"test","path":"/a/~01","value":10},{"op":"replace","path":"/a/~1","value":8}`, `"a":{"/":8,"~1":10}`, nil, ""},
		{"an empty name", `"a":{"":1}`, `{"op":"replace","path":"/a/","value":2}`, `"a":{"":2}`, nil, ""},
		{"a name of digits", `"a":{"0":1}`, `{"op":"replace","path":"/a/0","value":2}`, `"a":{"0":2}`, nil, ""},

		{"zeros before an index", `"a":[1,2]`, `{"op":"replace","path":"/a/01","value":3}`, "", transforms.ErrPatchPlace, "[0]"},
		{"a sign before an index", `"a":[1,2]`, `{"op":"replace","path":"/a/+1","value":3}`, "", transforms.ErrPatchPlace, "[0]"},
		{"a name in a list", `"a":[1,2]`, `{"op":"replace","path":"/a/CANARY","value":3}`, "", transforms.ErrPatchPlace, "[0]"},
		{"an index beyond all", `"a":[1,2]`, `{"op":"replace","path":"/a/99999999999999999999","value":3}`, "", transforms.ErrPatchPlace, "[0]"},
		{"no slash", `"a":1`, `{"op":"remove","path":"a"}`, "", transforms.ErrPatch, "[0]"},
		{"a fragment", `"a":1`, `{"op":"remove","path":"#/a"}`, "", transforms.ErrPatch, "[0]"},
		{"a tilde alone", `"a":1`, `{"op":"remove","path":"/a~"}`, "", transforms.ErrPatch, "[0]"},
		{"a tilde of nothing", `"a":1`, `{"op":"remove","path":"/a~2"}`, "", transforms.ErrPatch, "[0]"},
		{"a pointer too deep", `"a":1`, `{"op":"remove","path":"` + strings.Repeat("/a", 200) + `"}`, "", transforms.ErrPatch, "[0]"},
		{"no operation", `"a":1`, `{"op":"merge","path":"/a"}`, "", transforms.ErrPatch, "[0]"},
		{"an operation in upper case", `"a":1`, `{"op":"Remove","path":"/a"}`, "", transforms.ErrPatch, "[0]"},
		{"no op", `"a":1`, `{"path":"/a"}`, "", transforms.ErrPatch, "[0]"},
		{"no path", `"a":1`, `{"op":"remove"}`, "", transforms.ErrPatch, "[0]"},
		{"no value", `"a":1`, `{"op":"remove","path":"/a"},{"op":"add","path":"/a"}`, "", transforms.ErrPatch, "[1]"},
		{"no from", `"a":1`, `{"op":"copy","path":"/a"}`, "", transforms.ErrPatch, "[0]"},
		{"a path that is none", `"a":1`, `{"op":"remove","path":7}`, "", transforms.ErrPatch, "[0]"},
		{"no object", `"a":1`, `7`, "", transforms.ErrPatch, "[0]"},
		{"twice", `"a":1`, `{"op":"remove","path":"/a","path":"/b"}`, "", transforms.ErrDuplicate, ""},

		{"what is hidden cannot be tested", `"h":1`, `{"op":"test","path":"/h","value":1}`, "", transforms.ErrPatchPlace, "[0]"},
		{"nor copied", `"h":1`, `{"op":"copy","from":"/h","path":"/a"}`, "", transforms.ErrPatchPlace, "[0]"},
		{"what is generalised is tested as it is seen", `"e":"2026-01-01"`, `{"op":"test","path":"/e","value":"2026-01-01"}`, "", transforms.ErrPatchTest, "[0]"},
		{"and copied as it is seen", `"e":"2026-01-01"`, `{"op":"copy","from":"/e","path":"/a"}`, `"e":"2026-01-01","a":"2026"`, nil, ""},
		{"what is not writable is not removed", `"e":"2026-01-01"`, `{"op":"remove","path":"/e"}`, "", transforms.ErrNotWritable, "e"},
		{"nor moved", `"e":"2026-01-01"`, `{"op":"move","from":"/e","path":"/a"}`, "", transforms.ErrNotWritable, "e"},
		{"nor replaced", `"e":"2026-01-01"`, `{"op":"replace","path":"/e","value":"2027"}`, "", transforms.ErrNotWritable, "e"},
		{"nor added", ``, `{"op":"add","path":"/h","value":1}`, "", transforms.ErrNotWritable, "h"},
		{"but there and back it goes", `"e":"2026-01-01"`, `{"op":"move","from":"/e","path":"/a"},{"op":"move","from":"/a","path":"/e"}`, `"e":"2026-01-01"`, nil, ""},
		{"the id", `"id":"x"`, `{"op":"add","path":"/id","value":"y"}`, "", transforms.ErrNotWritable, "id"},
		{"the meta", ``, `{"op":"remove","path":"/meta/tag/0"}`, "", transforms.ErrNotWritable, "meta.tag"},
		{"a profile", ``, `{"op":"add","path":"/meta/profile","value":["CANARY"]}`, "", transforms.ErrNotWritable, "meta.profile"},
		{"the type", ``, `{"op":"replace","path":"/resourceType","value":"Task"}`, "", transforms.ErrUnexpectedRoot, "resourceType"},
		{"no type", ``, `{"op":"remove","path":"/resourceType"}`, "", transforms.ErrNoType, ""},
		{"the whole, removed", ``, `{"op":"remove","path":""}`, "", transforms.ErrPatchPlace, "[0]"},
		{"the whole, by nothing", ``, `{"op":"replace","path":"","value":null}`, "", transforms.ErrNoType, ""},
		{"the whole, by another", `"e":"2026-01-01"`, `{"op":"add","path":"","value":{"resourceType":"Basic","a":1}}`, "", transforms.ErrNotWritable, "e"},
		{"part", `"c":{"h":1}`, `{"op":"add","path":"/c","value":{"d":1}}`, `"c":{"h":1,"d":1}`, nil, ""},
		{"part, removed", `"c":{"h":1,"d":1}`, `{"op":"remove","path":"/c"}`, `"c":{"h":1}`, nil, ""},
		{"null left", `"a":1`, `{"op":"replace","path":"/a","value":null}`, "", transforms.ErrNotWritable, "a"},
		{"copies of copies", `"a":"x"`, strings.Repeat(`{"op":"copy","from":"/a","path":"/b"},{"op":"replace","path":"/a","value":[]},{"op":"copy","from":"/b","path":"/a/-"},{"op":"copy","from":"/b","path":"/a/-"},`, 24) + `{"op":"test","path":"/a","value":1}`, "", transforms.ErrTooLong, "[60]"},
		{"too many", `"a":1`, strings.TrimSuffix(strings.Repeat(`{"op":"test","path":"/a","value":1},`, 101), ","), "", transforms.ErrTooLong, ""},
	} {
		want := members("Basic", c.want)
		is := members("Basic", c.is)
		got, err := f.plan.Patch("Basic", []byte(is), []byte("["+c.patch+"]"), writing())
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %s, error %v, want %v", c.name, got, err, c.err)
			continue
		}
		if c.err == nil {
			if string(got) != want {
				t.Errorf("%s:\n got %s\nwant %s", c.name, got, want)
			}
			continue
		}
		var e *transforms.WriteError
		if !errors.As(err, &e) || e.Path != c.at || got != nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %s, error %v, want at %s", c.name, got, err, c.at)
		}
	}
	for _, patch := range []string{`{}`, `{"op":"remove","path":"/a"}`, ``, `[`, `[]x`} {
		var e *transforms.WriteError
		if _, err := f.plan.Patch("Basic", []byte(members("Basic", ``)), []byte(patch), writing()); !errors.As(err, &e) {
			t.Errorf("%q: %v", patch, err)
		}
	}
}

// TestPatchNumbers compares numbers by their values, as RFC 6902, section 4.6, does.
func TestPatchNumbers(t *testing.T) {
	f := load(t, "notes", notes)
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"1", "1.0", true}, {"1", "10e-1", true}, {"100", "1E+2", true}, {"0", "-0.0e9", true}, {"-1.50", "-15e-1", true}, {"0.001", "1e-3", true},
		{"1", "-1", false}, {"1", "10", false}, {"1.5", "15", false}, {"12", "21", false},
		{"12345678901234567890.1", "12345678901234567890.2", false}, {"0.1", "0.1000000000000000000001", false},
		{"1e999999999999999999", "1e999999999999999999", true}, {"1e999999999999999999", "1e999999999999999998", false}, {"0e99999999999999999999", "0", true},
	} {
		for _, p := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			_, err := f.plan.Patch("Basic", []byte(members("Basic", `"a":`+p[0])), fmt.Appendf(nil, `[{"op":"test","path":"/a","value":%s}]`, p[1]), writing())
			if (err == nil) != c.same || err != nil && !errors.Is(err, transforms.ErrPatchTest) {
				t.Errorf("%s and %s: %v", p[0], p[1], err)
			}
		}
	}
}
