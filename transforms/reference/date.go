package reference

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	aDate = regexp.MustCompile(`(?s)^(\d{4}|\d{4}-\d\d|\d{4}-\d\d-\d\d)(T.*)?$`)
	aTime = regexp.MustCompile(`^T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00))$`)
)

// isDay says whether a text is a day of the calendar, or a month or year of it.
func isDay(s string) bool {
	_, err := time.Parse("2006-01-02"[:len(s)], s)
	return err == nil && s[:4] != "0000"
}

// unmoved is a date that is to be shifted, once it is known by how much.
type unmoved string

// shifted is a date moved by days; a month by its 15th, a year by its 1st of July.
func shifted(s string, days int) (string, bool) {
	day, rest := s, ""
	if len(s) > 10 {
		day, rest = s[:10], s[10:]
	}
	t, _ := time.Parse("2006-01-02", day+"2006-07-15"[len(day):][:10-len(day)])
	if len(day) == 4 {
		t = t.AddDate(0, 0, -14)
	}
	if t = t.AddDate(0, 0, days); t.Year() < 1 || t.Year() > 9999 {
		return "", false
	}
	return t.Format("2006-01-02")[:len(day)] + rest, true
}

// tidied is a pruned resource with its dates shifted and its lists aligned.
func (r *oracle) tidied(out map[string]any, kind string, resource map[string]any) any {
	var patient string
	known := false
	if kind == "Patient" {
		patient, known = resource["id"].(string)
	} else if ids := slices.Compact(slices.Sorted(slices.Values(r.patients(r.compartment[kind], resource)))); len(ids) == 1 {
		patient, known = ids[0], true
	}
	days := 0
	if known {
		days, _ = r.o.Shift.Shift(patient)
	}
	v, _ := r.tidy(out, func(s string) (string, bool) {
		if s, ok := shifted(s, days); ok && known {
			return s, true
		}
		r.removed[kind]++
		return "", false
	}, false)
	return v
}

// tidy says also whether anything is left of the value.
func (r *oracle) tidy(v any, shift func(string) (string, bool), inner bool) (any, bool) {
	switch v := v.(type) {
	case unmoved:
		return shift(string(v))
	case []any:
		var out []any
		some := false
		for _, v := range v {
			if v == nil {
				if !inner {
					out = append(out, nil)
				}
				continue
			}
			if v, ok := r.tidy(v, shift, true); ok {
				out, some = append(out, v), true
			}
		}
		return out, some
	case map[string]any:
		arrays := map[string][]any{}
		for name, value := range v {
			kept, ok := r.tidy(value, shift, false)
			if !ok {
				delete(v, name)
				continue
			}
			v[name] = kept
			if array, ok := kept.([]any); ok {
				arrays[name] = array
			}
		}
		at := func(array []any, i int) any {
			if i < len(array) {
				return array[i]
			}
			return nil
		}
		for name, array := range arrays {
			var other []any
			switch {
			case strings.HasPrefix(name, "__"): // is nothing's sibling
			case strings.HasPrefix(name, "_"):
				other = arrays[name[1:]]
			default:
				other = arrays["_"+name]
			}
			var out []any
			for i := range max(len(array), len(other)) {
				if at(array, i) != nil || at(other, i) != nil {
					out = append(out, at(array, i))
				}
			}
			v[name] = out
		}
		return v, len(v) > 0
	}
	return v, true
}
