package transforms_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/transforms"
	"github.com/halfdoor/halfdoor/transforms/reference"
)

// TestMergeBlind writes the same to two resources of which a client sees the same, but in which other
// things are hidden: it is refused for both and for the same reason, or what it sees then is the same.
func TestMergeBlind(t *testing.T) {
	merged, refused, disguised := 0, 0, 0
	try := func(g generator, f fixture, kind string, is []byte) {
		view := filter(t, f.plan, bytes.NewReader(is), options())
		if view.err != nil {
			t.Fatalf("%s: %v", f.name, view.err)
		}
		before := view.body
		var others [][]byte
		if g.one(2) { // the client adds what it does not see
			is, others = g.hollowed(t, f, kind, is)
			before = filter(t, f.plan, bytes.NewReader(is), options()).body
		}
		others = append([][]byte{is}, others...)
		for range 2 {
			other := g.disguised(t, f, is, before)
			if others = append(others, other); !bytes.Equal(other, is) {
				disguised++
			}
		}
		for range 4 {
			sent, err := reference.Parse(view.body)
			if err != nil {
				t.Fatal(err)
			}
			body := encode(t, g.mutate(sent, 2+g.IntN(40)))
			want := ""
			for i, other := range others {
				out, err := f.plan.Merge(kind, other, body, writing())
				got := fmt.Sprint(err)
				if err == nil {
					seen := filter(t, f.plan, bytes.NewReader(out), options())
					if seen.err != nil {
						t.Fatalf("%s: the outcome is seen as %v", f.name, seen.err)
					}
					got = string(seen.body)
				}
				if i == 0 {
					want = got
				}
				if got != want {
					t.Fatalf("%s, write %v: a write tells what is hidden\nis   %s\nor   %s\nsent %s\n got %s\nwant %s\nout %s", f.name, f.ds.Write[kind], is, other, body, got, want, out)
				}
				if i > 0 && err == nil {
					merged++
				} else if i > 0 {
					refused++
				}
				if err != nil {
					continue
				}
				had, has := map[string]bool{}, map[string]bool{}
				for in, marks := range map[string]map[string]bool{string(other): had, string(out): has} {
					v, _ := reference.Parse([]byte(in))
					marked(v, marks)
				}
				for mark := range had {
					if !has[mark] && !bytes.Contains(view.body, []byte(mark)) {
						t.Fatalf("%s %v, write %v: what could not be seen is gone: %s\nwas  %s\nsent %s\nis   %s", f.name, f.ds.Resources[kind], f.ds.Write[kind], mark, other, body, out)
					}
				}
			}
		}
	}
	all := resources(t, 1)
	for _, f := range append(fixtures(t), load(t, "desk", desk)) {
		f = everything(t, f)
		g := generator{rand.New(rand.NewPCG(2, uint64(len(f.name))))}
		for _, r := range all {
			if f.plan.Writable(r.kind) && len(r.is) < 3_000 {
				try(g, f, r.kind, r.is)
			}
		}
	}
	for seed := range uint64(8) {
		g := generator{rand.New(rand.NewPCG(seed, 12))}
		ds, plan := g.dataset(t)
		f := everything(t, fixture{fmt.Sprint("seed ", seed), ds, plan})
		for range 30 {
			is := []byte(g.resource())
			v, err := reference.Parse(is)
			if kind, _ := object(v)["resourceType"].(string); err == nil && f.plan.Writable(kind) {
				try(g, f, kind, encode(t, v))
			}
		}
	}
	t.Log(disguised, "disguised,", merged, "merged,", refused, "refused")
	if disguised < 200 || merged < 500 || refused < 300 {
		t.Errorf("too little was tried: %d disguised, %d merged, %d refused", disguised, merged, refused)
	}
}

// TestMergeBlindSees shows that a write which asks what is hidden would be noticed: two resources that
// a client sees differently come to different outcomes.
func TestMergeBlindSees(t *testing.T) {
	f := load(t, "desk", desk)
	sent := []byte(members("Appointment", `"participant":[{"status":"declined"}]`))
	for is, want := range map[string]error{`"participant":[{"status":"accepted"},{"type":[{"text":"t"}]}]`: nil, `"participant":[{"status":"accepted"},{"status":"accepted"}]`: transforms.ErrNotWritable} {
		if _, err := f.plan.Merge("Appointment", []byte(members("Appointment", is)), sent, writing()); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", is, err, want)
		}
	}
}

// marked collects what disguises hid in a value, but in what goes with what it describes.
func marked(v any, marks map[string]bool) {
	switch v := v.(type) {
	case []any:
		for _, v := range v {
			marked(v, marks)
		}
	case map[string]any:
		if url, ok := v["url"].(string); ok && strings.HasPrefix(url, "hidden") {
			marks[url] = true
		}
		for name, v := range v {
			if base := strings.TrimPrefix(name, "_"); base != "display" && base != "identifier" {
				marked(v, marks)
			}
		}
	}
}

// hollowed is a resource without an element that can be written, and one that has of it what is hidden
// alone, if there is such a one.
func (g generator) hollowed(t *testing.T, f fixture, kind string, is []byte) ([]byte, [][]byte) {
	without, _ := reference.Parse(is)
	hollow, _ := reference.Parse(is)
	name, _, _ := strings.Cut(pick(g, f.ds.Write[kind]...), ".")
	v := object(hollow)[name]
	delete(object(without), name)
	delete(object(without), "_"+name)
	if delete(object(hollow), name); v == nil {
		return is, nil
	}
	shell := map[string]any{pick(g, "extension", "extension", "display"): []any{map[string]any{"url": "hidden"}}}
	switch v.(type) {
	case map[string]any:
		object(hollow)[name] = shell
	case []any:
		object(hollow)[name] = []any{shell}
	default:
		object(hollow)["_"+name] = shell
	}
	is = encode(t, without)
	x := filter(t, f.plan, bytes.NewReader(is), options())
	y := filter(t, f.plan, bytes.NewReader(encode(t, hollow)), options())
	if x.err != nil || y.err != nil || !bytes.Equal(x.body, y.body) {
		return is, nil
	}
	return is, [][]byte{encode(t, hollow)}
}

// disguised is a resource in which other things are hidden, and of which the same is seen.
func (g generator) disguised(t *testing.T, f fixture, is, view []byte) []byte {
	for range 12 {
		v, _ := reference.Parse(is)
		size := strings.Count(string(is), ":") + 1
		other := encode(t, g.disguise(v, size))
		if seen := filter(t, f.plan, bytes.NewReader(other), options()); seen.err == nil && bytes.Equal(seen.body, view) {
			is = other
		}
	}
	return is
}

// disguise hides something in a value, or takes away what may be hidden, in about one of n places.
func (g generator) disguise(v any, n int) any {
	extension := []any{map[string]any{"url": fmt.Sprint("hidden", g.IntN(1000))}}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			switch {
			case name == "resourceType":
			case g.one(2 * n):
				delete(v, name)
			default:
				v[name] = g.disguise(v[name], n)
				if _, list := v[name].([]any); !list && v["_"+name] == nil && !strings.HasPrefix(name, "_") && g.one(n) {
					if _, object := v[name].(map[string]any); !object {
						v["_"+name] = map[string]any{"extension": extension}
					}
				}
			}
		}
		if g.one(n) {
			v[pick(g, "extension", "modifierExtension")] = extension
		}
		if g.one(2 * n) {
			v["display"] = "hidden"
		}
		return v
	case []any:
		for i := range v {
			v[i] = g.disguise(v[i], n)
		}
		if len(v) > 0 && g.one(n) {
			if _, ok := v[0].(map[string]any); ok {
				return slices.Insert(slices.Clone(v), g.IntN(len(v)+1), any(map[string]any{pick(g, "extension", "display"): pick[any](g, extension, json.Number("1"))}))
			}
		}
		return v
	}
	return v
}
