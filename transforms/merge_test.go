package transforms_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/transforms"
	"github.com/halfdoor/halfdoor/transforms/reference"
)

// resource is one of a document's: itself, or of an entry.
type resource struct {
	doc, kind string
	is        []byte
}

// resources are those of the tests' documents and of the corpus, a few of each document.
func resources(t *testing.T, each int) (all []resource) {
	t.Helper()
	for _, doc := range append(own(t), foreign(t)...) {
		v, err := reference.Parse(doc.data[:min(len(doc.data), 4<<20)])
		if err != nil {
			continue // one that is to be refused, or of which others say the same
		}
		found := []any{v}
		if entries, ok := object(v)["entry"].([]any); ok && object(v)["resourceType"] == "Bundle" {
			found = found[:0]
			for _, e := range entries[:min(len(entries), each)] {
				found = append(found, object(e)["resource"])
			}
		}
		for _, v := range found {
			if kind, ok := object(v)["resourceType"].(string); ok {
				all = append(all, resource{doc.name, kind, encode(t, v)})
			}
		}
	}
	return all
}

// everything lets be written of a dataset all that can be: as much as the rows allow.
func everything(t testing.TB, f fixture) fixture {
	t.Helper()
	ds := *f.ds
	ds.Write = map[string][]string{}
	for kind, rows := range f.ds.Resources {
		for _, path := range slices.Sorted(maps.Keys(rows)) {
			overlaps := slices.ContainsFunc(ds.Write[kind], func(p string) bool { return strings.HasPrefix(path, p+".") })
			if overlaps || strings.ContainsAny(path, "[*") {
				continue
			}
			one := transforms.Dataset{Resources: map[string]map[string]transforms.Rule{kind: rows}, Write: map[string][]string{kind: {path}}}
			if _, err := transforms.Compile(&one, compartment); err == nil {
				ds.Write[kind] = append(ds.Write[kind], path)
			}
		}
	}
	plan, err := transforms.Compile(&ds, compartment)
	if err != nil {
		t.Fatal(err)
	}
	return fixture{f.name, &ds, plan}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestMergeNothing sends each resource of the corpus back as it was seen, by each dataset, of which all is writable that
// can be: nothing is destroyed. The order of the members and the digits of numbers stay too.
func TestMergeNothing(t *testing.T) {
	all := resources(t, 15)
	for _, f := range append(fixtures(t), load(t, "desk", desk)) {
		f = everything(t, f)
		n := 0
		for _, r := range all {
			kind, is := r.kind, r.is
			if !f.plan.Writable(kind) {
				continue
			}
			view := filter(t, f.plan, bytes.NewReader(is), options())
			if view.err != nil {
				t.Fatalf("%s, %s: %v", f.name, r.doc, view.err)
			}
			for name, do := range map[string]func() ([]byte, error){
				"merged":  func() ([]byte, error) { return f.plan.Merge(kind, is, view.body, writing()) },
				"patched": func() ([]byte, error) { return f.plan.Patch(kind, is, []byte("[]"), writing()) },
				"patched by itself": func() ([]byte, error) {
					return f.plan.Patch(kind, is, []byte(`[{"op":"add","path":"","value":`+string(view.body)+`}]`), writing())
				},
			} {
				if got, err := do(); err != nil || !bytes.Equal(unescaped(t, got), unescaped(t, is)) {
					t.Fatalf("%s, %s, %s: %v\n got %s\nwant %s\nview %s", f.name, r.doc, name, err, got, is, view.body)
				}
			}
			n++
		}
		if t.Log(f.name, n, "resources"); n == 0 {
			t.Errorf("%s: no resources", f.name)
		}
	}
}

// unescaped is a document in the order of its members, with one spelling of its texts.
func unescaped(t *testing.T, doc []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err != nil {
			return out.Bytes()
		}
		fmt.Fprintf(&out, "%#v ", token)
	}
}

// without takes the elements at a path out of a value, and then what is empty.
func without(v any, path []string) any {
	switch v := v.(type) {
	case []any:
		out := []any{}
		for _, v := range v {
			one := without(v, path)
			if o, ok := one.(map[string]any); !ok || len(o) > 0 {
				out = append(out, one) // and not one that is new
			}
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for name, v := range v {
			base := strings.TrimPrefix(name, "_")
			switch {
			case base == path[0] && len(path) == 1:
				continue
			case name == path[0]:
				v = without(v, path[1:])
				if object, ok := v.(map[string]any); ok && len(object) == 0 {
					continue
				}
				if array, ok := v.([]any); ok && len(array) == 0 {
					continue
				}
			}
			out[name] = v
		}
		return out
	}
	return v
}

// TestMergeOracle changes what a client sees at random, and looks with the slow and obvious eye at what became of it:
// nothing that cannot be written has changed, and the client sees what it wrote.
func TestMergeOracle(t *testing.T) {
	all := resources(t, 8)
	for _, f := range append(fixtures(t), load(t, "desk", desk)) {
		f = everything(t, f)
		g := generator{rand.New(rand.NewPCG(1, uint64(len(f.name))))}
		merged, refused := 0, map[error]int{}
		for _, r := range all {
			kind, is := r.kind, r.is
			if !f.plan.Writable(kind) {
				continue
			}
			view := filter(t, f.plan, bytes.NewReader(is), options())
			for range 4 {
				sent, err := reference.Parse(view.body)
				if err != nil {
					t.Fatal(err)
				}
				body := encode(t, g.mutate(sent, 2+g.IntN(60)))
				o := writing()
				out, err := f.plan.Merge(kind, is, body, o)
				var e *transforms.WriteError
				switch {
				case errors.As(err, &e):
					refused[e.Kind]++
					continue
				case err != nil:
					t.Fatalf("%s, %s: %v", f.name, r.doc, err)
				}
				merged++
				judge(t, f, kind, is, out, body)
				if t.Failed() {
					return
				}
			}
		}
		t.Log(f.name, merged, "merged, refused", refused)
		if merged < 20 {
			t.Errorf("%s: only %d merged", f.name, merged)
		}
	}
}

// judge compares what became of a resource with what it was, and with what was sent.
func judge(t *testing.T, f fixture, kind string, is, out, body []byte) {
	t.Helper()
	before, _ := reference.Parse(is)
	after, err := reference.Parse(out)
	if err != nil {
		t.Errorf("%s: %s is %v", f.name, out, err)
		return
	}
	for _, path := range f.ds.Write[kind] {
		before, after = without(before, strings.Split(path, ".")), without(after, strings.Split(path, "."))
	}
	if !reflect.DeepEqual(after, before) {
		t.Errorf("%s: what cannot be written changed: %s\nwas  %s\nsent %s\nis   %s", f.name, reference.Difference("", after, before), is, body, out)
	}
	seen := filter(t, f.plan, bytes.NewReader(out), options())
	view, err := reference.Parse(seen.body)
	if seen.err != nil || err != nil {
		t.Errorf("%s: the outcome is seen as %v %v", f.name, seen.err, err)
		return
	}
	was, _ := reference.Parse(is)
	now, _ := reference.Parse(out)
	shown := filter(t, f.plan, bytes.NewReader(is), options())
	visible, _ := reference.Parse(shown.body)
	had, has, saw := map[string]int{}, map[string]int{}, map[string]int{}
	extensions(t, was, had)
	extensions(t, now, has)
	extensions(t, visible, saw)
	for extension, n := range had {
		if has[extension] < n-saw[extension] && !strings.Contains(extension, `"reference"`) && !strings.Contains(extension, `"display"`) {
			t.Errorf("%s: what could not be seen is gone: %s\nwas  %s\nsent %s\nis   %s", f.name, extension, is, body, out)
		}
	}
	sent, _ := reference.Parse(body)
	object(sent)["id"], object(sent)["meta"] = object(view)["id"], object(view)["meta"]
	if object(sent)["id"] == nil {
		delete(object(sent), "id")
	}
	if at := lacks(view, sent); at != "" {
		t.Errorf("%s: %s is not seen as it was sent: %s\nwas  %s\nis   %s\nseen %s", f.name, at, body, is, out, seen.body)
	}
	for _, path := range f.ds.Write[kind] {
		if _, there := object(sent)[path]; !there && object(view)[path] != nil {
			t.Errorf("%s: %s was left out, and is seen\nis %s", f.name, path, out)
		}
	}
}

// extensions counts the extensions in a value, and the narratives; not those of what goes with what it describes.
func extensions(t *testing.T, v any, counts map[string]int) {
	switch v := v.(type) {
	case []any:
		for _, v := range v {
			extensions(t, v, counts)
		}
	case map[string]any:
		for name, v := range v {
			if name == "extension" || name == "modifierExtension" || name == "div" {
				all, list := v.([]any)
				if !list {
					all = []any{v}
				}
				for _, v := range all {
					if text := string(encode(t, v)); strings.ContainsAny(text, `"0123456789`) {
						counts[text]++ // and not one that says nothing
					}
				}
			} else if base := strings.TrimPrefix(name, "_"); base != "display" && base != "identifier" {
				extensions(t, v, counts)
			}
		}
	}
}

// lacks says where a value does not say what another does; members may be missing from that.
func lacks(v, of any) string {
	switch of := of.(type) {
	case map[string]any:
		for name, o := range of {
			if at := lacks(object(v)[name], o); at != "" {
				return "/" + name + at
			}
		}
		return ""
	case []any:
		array, _ := v.([]any)
		if len(array) != len(of) {
			return " "
		}
		for i := range of {
			if at := lacks(array[i], of[i]); at != "" {
				return fmt.Sprint("/", i, at)
			}
		}
		return ""
	}
	x, y := v, of
	for _, p := range []*any{&x, &y} { // a reference below the gateway's base is what it is relative to that
		if s, ok := (*p).(string); ok {
			*p = strings.TrimPrefix(s, "https://gateway.example.net/fhir/")
		}
	}
	if !reflect.DeepEqual(x, y) {
		return " "
	}
	return ""
}

// mutate changes a value in one of n places: a value becomes another, goes, comes twice, or changes its place.
func (g generator) mutate(v any, n int) any {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			switch {
			case name == "resourceType":
			case g.one(n * 3):
				delete(v, name)
			default:
				v[name] = g.mutate(v[name], n)
			}
		}
		if g.one(n * 6) {
			v[pick(g, "extension", "comment", "display", "_status", "x")] = pick[any](g, "x", []any{map[string]any{"url": "x"}}, map[string]any{"id": "x"})
		}
		return v
	case []any:
		for i := range v {
			v[i] = g.mutate(v[i], n)
		}
		switch {
		case len(v) > 1 && g.one(n*2):
			i, j := g.IntN(len(v)), g.IntN(len(v))
			v[i], v[j] = v[j], v[i]
		case len(v) > 1 && g.one(n*2):
			i := g.IntN(len(v))
			return slices.Delete(slices.Clone(v), i, i+1)
		case g.one(n * 2):
			return append(slices.Clone(v), v[g.IntN(len(v))])
		}
		return v
	}
	if g.one(n) {
		return pick[any](g, "x", "", json.Number("1.50"), true, "Patient/"+sealed("Patient", "p2"), sealed("Patient", "p1"), []any{"x"}, map[string]any{"a": "x"})
	}
	return v
}

// TestMergeGenerated does both with datasets and resources of shapes that no server would answer with.
func TestMergeGenerated(t *testing.T) {
	merged := 0
	for seed := range uint64(30) {
		g := generator{rand.New(rand.NewPCG(seed, 11))}
		ds, plan := g.dataset(t)
		f := everything(t, fixture{fmt.Sprint("seed ", seed), ds, plan})
		for range 60 {
			is := []byte(g.resource())
			v, err := reference.Parse(is)
			kind, _ := object(v)["resourceType"].(string)
			if err != nil || !f.plan.Writable(kind) {
				continue
			}
			is = encode(t, v)
			view := filter(t, f.plan, bytes.NewReader(is), options())
			got, err := f.plan.Merge(kind, is, view.body, writing())
			if err != nil || !bytes.Equal(unescaped(t, got), unescaped(t, is)) {
				t.Fatalf("%s %v: %v\n got %s\nwant %s\nview %s", f.name, f.ds.Resources[kind], err, got, is, view.body)
			}
			for range 3 {
				sent, _ := reference.Parse(view.body)
				body := encode(t, g.mutate(sent, 2+g.IntN(20)))
				if out, err := f.plan.Merge(kind, is, body, writing()); err == nil {
					judge(t, f, kind, is, out, body)
					merged++
				}
				if t.Failed() {
					t.Fatalf("%v, write %v", f.ds.Resources[kind], f.ds.Write[kind])
				}
			}
		}
	}
	if t.Log(merged, "merged"); merged < 200 {
		t.Errorf("only %d merged", merged)
	}
}
