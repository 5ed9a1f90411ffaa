package reference

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Difference says where a value parts from the one that is wanted, below a path; "" where it does not.
func Difference(at string, got, want any) string {
	if reflect.DeepEqual(got, want) {
		return ""
	}
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			break
		}
		names := maps.Clone(w)
		maps.Copy(names, g)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			_, in := g[name]
			_, should := w[name]
			switch {
			case !in:
				return fmt.Sprintf("%s/%s is missing: %.300v", at, name, w[name])
			case !should:
				return fmt.Sprintf("%s/%s should not leave: %.300v", at, name, g[name])
			case !reflect.DeepEqual(g[name], w[name]):
				return Difference(at+"/"+name, g[name], w[name])
			}
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			break
		}
		for i := range w {
			if !reflect.DeepEqual(g[i], w[i]) {
				return Difference(fmt.Sprintf("%s/%d", at, i), g[i], w[i])
			}
		}
	}
	return fmt.Sprintf("%s is %.300v, want %.300v", at, got, want)
}
