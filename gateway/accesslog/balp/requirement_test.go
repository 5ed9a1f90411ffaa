package balp_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// A requirement is a row of testdata/requirements.tsv.
type requirement struct {
	profile, element, rule string
	min, max               int // max -1: any number
}

// requirements reads the table: by profile, with what it extends.
func requirements(t *testing.T) (rows map[string][]requirement, extends map[string]string) {
	t.Helper()
	text, err := os.ReadFile("testdata/requirements.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows, extends = map[string][]requirement{}, map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 5 {
			t.Fatalf("requirements.tsv: %q has %d columns", line, len(f))
		}
		if parent, ok := strings.CutPrefix(f[4], "extends "); ok {
			extends[f[0]] = parent
			continue
		}
		r := requirement{profile: f[0], element: f[1], rule: f[4], max: -1}
		if r.min, err = strconv.Atoi(f[2]); err != nil {
			t.Fatal(line, err)
		}
		if f[3] != "*" {
			if r.max, err = strconv.Atoi(f[3]); err != nil {
				t.Fatal(line, err)
			}
		}
		rows[r.profile] = append(rows[r.profile], r)
	}
	if len(rows) != 11 {
		t.Fatalf("the table has %d profiles", len(rows))
	}
	return rows, extends
}

// violations says what of a profile, and of those that it extends, an event does not meet.
func violations(t *testing.T, profile, event string) []string {
	t.Helper()
	rows, extends := requirements(t)
	var all []requirement
	for p := profile; p != ""; p = extends[p] {
		if rows[p] == nil {
			t.Fatalf("the table has no profile %q", p)
		}
		all = append(all, rows[p]...)
	}
	var bad []string
	for _, r := range all {
		parents := []gjson.Result{gjson.Parse(event)}
		path := strings.Split(r.element, ".")
		for i, step := range path {
			name, slice, sliced := strings.Cut(strings.TrimSuffix(step, "]"), "[")
			if i == len(path)-1 {
				bad = append(bad, r.check(parents, name, sliced)...)
				break
			}
			var next []gjson.Result
			for _, p := range parents {
				for _, item := range items(p.Get(name)) {
					if !sliced || slicing(t, all, strings.Join(path[:i], "."), name, slice).holds(item) {
						next = append(next, item)
					}
				}
			}
			parents = next
		}
	}
	return bad
}

// check counts and judges the element in each of its parents.
func (r requirement) check(parents []gjson.Result, name string, sliced bool) (bad []string) {
	for _, p := range parents {
		n := 0
		for _, item := range items(p.Get(name)) {
			if sliced && !r.holds(item) {
				continue
			}
			if n++; !sliced && !r.holds(item) {
				bad = append(bad, fmt.Sprintf("%s %s: not %q: %s", r.profile, r.element, r.rule, item.Raw))
			}
		}
		if n < r.min || r.max >= 0 && n > r.max {
			bad = append(bad, fmt.Sprintf("%s %s: %d of %d..%d", r.profile, r.element, n, r.min, r.max))
		}
	}
	return bad
}

// slicing is the row that defines a slice.
func slicing(t *testing.T, all []requirement, above, name, slice string) requirement {
	t.Helper()
	element := strings.TrimPrefix(above+"."+name+"["+slice+"]", ".")
	i := slices.IndexFunc(all, func(r requirement) bool { return r.element == element })
	if i < 0 {
		t.Fatalf("no row defines the slice %s", element)
	}
	return all[i]
}

func items(v gjson.Result) []gjson.Result {
	if v.IsArray() {
		return v.Array()
	}
	if v.Exists() {
		return []gjson.Result{v}
	}
	return nil
}

// holds says whether an item meets the row's rule.
func (r requirement) holds(item gjson.Result) bool {
	rule, value, _ := strings.Cut(r.rule, " ")
	if rule == "slice" {
		var element string
		element, r.rule, _ = strings.Cut(value, " ")
		if element != "." {
			item = item.Get(element)
		}
		return item.Exists() && r.holds(item)
	}
	switch rule {
	case "":
		return item.Raw != `""` && item.Raw != "{}" && item.Raw != "[]"
	case "is":
		return item.String() == value
	case "any":
		return slices.Contains(strings.Split(value, ","), item.String())
	case "code":
		system, codes, _ := strings.Cut(value, "|")
		codings := items(item.Get("coding"))
		if len(codings) == 0 {
			codings = []gjson.Result{item}
		}
		return slices.ContainsFunc(codings, func(c gjson.Result) bool {
			return c.Get("system").String() == system && slices.Contains(strings.Split(codes, ","), c.Get("code").String())
		})
	case "refers":
		return item.Get("type").String() == value || strings.HasPrefix(item.Get("reference").String(), value+"/")
	case "either":
		a, b, _ := strings.Cut(value, ",")
		return !item.Get(a).Exists() || !item.Get(b).Exists()
	}
	panic("requirements.tsv: no rule " + rule)
}
