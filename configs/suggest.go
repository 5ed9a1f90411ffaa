package configs

import (
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fieldsOf returns the keys of a struct of the configuration with their field numbers.
func fieldsOf(t reflect.Type) map[string]int {
	fields := map[string]int{}
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("yaml"); key != "" {
			fields[key] = i
		}
	}
	return fields
}

// unknown reports a key that the struct at path does not have: with the nearest key that it has, or else with where such
// a key belongs.
func (r *report) unknown(path string, key *yaml.Node, t reflect.Type) {
	at := join(path, shown(key.Value))
	if near := nearest(key.Value, t); near != "" {
		r.addAt(key.Line, at, "unknown key; did you mean %s?", near)
		r.wrong[join(path, near)] = true // not missing too
		return
	}
	if places := placesOf(key.Value, reflect.TypeFor[Config](), ""); len(places) > 0 {
		r.addAt(key.Line, at, "unknown key here; did you mean %s?", strings.Join(places, " or "))
		return
	}
	r.addAt(key.Line, at, "unknown key")
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// shown returns a key as a message can hold it, on one line whatever it is.
func shown(key string) string {
	if plainKey.MatchString(key) {
		return key
	}
	if len(key) > 64 {
		key = key[:64] + "…"
	}
	return strconv.Quote(key)
}

// nearest returns the struct's key that is most like the one given: the same in another spelling (baseUrl, base-url), or
// at most a third of its letters away.
func nearest(key string, t reflect.Type) string {
	best, least := "", len(fold(key))/3+1
	keys := fieldsOf(t)
	names := make([]string, 0, len(keys))
	for name := range keys {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if d := distance(fold(key), fold(name)); d < least {
			best, least = name, d
		}
	}
	return best
}

// placesOf returns the paths of every key of that name, "ehrs[].base_url".
func placesOf(key string, t reflect.Type, path string) []string {
	var places []string
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("yaml")
		if name == "" {
			continue
		}
		at, ft := join(path, name), t.Field(i).Type
		if fold(name) == fold(key) {
			places = append(places, at)
		}
		if ft.Kind() == reflect.Slice {
			at, ft = at+"[]", ft.Elem()
		} else if ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		if ft.Kind() == reflect.Struct {
			places = append(places, placesOf(key, ft, at)...)
		}
	}
	return places
}

var separators = strings.NewReplacer("_", "", "-", "")

func fold(key string) string { return strings.ToLower(separators.Replace(key)) }

// distance counts the letters to add, drop, change or swap with their neighbour to make b of a.
func distance(a, b string) int {
	if max(len(a), len(b)) > 64 {
		return 64 // no key is that long
	}
	before, last, this := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		this[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			this[j] = min(last[j]+1, this[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				this[j] = min(this[j], before[j-2]+1)
			}
		}
		before, last, this = last, this, before
	}
	return last[len(b)]
}
