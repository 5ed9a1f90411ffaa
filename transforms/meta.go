package transforms

import (
	"bytes"
	"slices"
)

// The tag of a resource from which something may be missing (resource.html#simple-tags).
const (
	tagSystem = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
	tagCode   = "SUBSETTED"
	tag       = `{"system":"` + tagSystem + `","code":"` + tagCode + `"}`
	tagAlone  = `{"tag":[` + tag + `]}`
)

// meta filters the resource's meta at r by its rows, and adds the tag.
func (f *filter) meta(n *node, c byte) (bool, error) {
	at := len(f.out)
	f.res.tagged = true
	places := f.opt.places
	f.opt.places = false
	leaves, err := f.byMethod(n, c)
	f.opt.places = places
	if err != nil {
		return false, err
	}
	if !leaves && f.res.row.root.star == nil {
		// Its counters count it as removed; but it is there.
		f.tally.removed[f.res.row.root.index]++
	}
	if !leaves {
		f.out = f.out[:at]
	}
	f.addTag(at)
	return true, nil
}

// addTag adds the tag to the meta that begins at, unless it is there. The output is valid JSON
// without white space between tokens.
func (f *filter) addTag(at int) {
	meta := f.out[at:]
	if len(meta) == 0 || meta[0] != '{' {
		f.out = append(f.out[:at], tagAlone...)
		return
	}
	for i := 1; meta[i] != '}'; {
		nameEnd := valueEnd(meta, i)
		from, to := nameEnd+1, valueEnd(meta, nameEnd+1)
		if !means(meta[i:nameEnd], "tag") {
			if i = to; meta[i] == ',' {
				i++
			}
			continue
		}
		switch {
		case meta[from] != '[':
			f.out = slices.Replace(f.out, at+from, at+to, []byte("["+tag+"]")...)
		case !tagged(meta[from:to]):
			f.out = slices.Insert(f.out, at+to-1, []byte(","+tag)...)
		}
		return
	}
	f.out = append(f.out[:len(f.out)-1], `,"tag":[`+tag+`]}`...)
}

// tagged reports whether an array of codings has the tag.
func tagged(tags []byte) bool {
	for i := 1; i < len(tags)-1; i++ {
		end := valueEnd(tags, i)
		if tags[i] == '{' && isTag(tags[i:end]) {
			return true
		}
		i = end
	}
	return false
}

func isTag(coding []byte) bool {
	system, code := false, false
	for i := 1; i < len(coding)-1; i++ {
		nameEnd := valueEnd(coding, i)
		end := valueEnd(coding, nameEnd+1)
		switch name, value := coding[i:nameEnd], coding[nameEnd+1:end]; {
		case means(name, "system"):
			system = means(value, tagSystem)
		case means(name, "code"):
			code = means(value, tagCode)
		}
		i = end
	}
	return system && code
}

// means reports whether raw is a JSON string of s.
func means(raw []byte, s string) bool {
	if raw[0] != '"' {
		return false
	}
	raw = raw[1 : len(raw)-1]
	if bytes.IndexByte(raw, '\\') >= 0 {
		raw = unescape(nil, raw)
	}
	return string(raw) == s
}

// valueEnd returns the index behind the value at b[i], of valid JSON without white space between
// tokens, but for the marks of dates.
func valueEnd(b []byte, i int) int {
	for depth := 0; ; i++ {
		switch b[i] {
		case '"', unmoved:
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // behind a number or a literal
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
}
