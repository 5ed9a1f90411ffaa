package gateway_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// asked is one request, as it is sent to both.
type asked struct {
	method, path string // below the FHIR base
	body         string
	headers      []string
	below        bool // it writes an element below the top level
}

func (a asked) String() string { return a.method + " " + a.path + " " + a.body }

// asker makes random requests of every shape, mostly well formed, whose values are those of one
// EHR or the other: of what is hidden, some match here and not there.
type asker struct {
	*blindfold
	rng  *rand.Rand
	ehrs [2]*demo.EHR
	seal func(kind, id string) string // the client's own token
	tags map[string]string            // entity tags seen, by path
	read map[string]string            // bodies seen, by path
}

func (a *asker) kind() string { return pick(a.rng, a.ehrs[0].Types()...) }

// target is a resource of a type, as the client names it.
func (a *asker) target(kind string) string {
	id := pick(a.rng, a.ehrs[0].IDs(kind)...)
	if a.rows[kind]["id"] == "keep" || a.rng.IntN(20) == 0 {
		return id
	}
	return a.seal(kind, id)
}

// next is one request.
func (a *asker) next() asked {
	r := a.one()
	if a.rng.IntN(6) == 0 {
		r.headers = append(r.headers, "Accept-Encoding", pick(a.rng, "gzip", "zstd"))
	}
	if r.method == "GET" && a.rng.IntN(12) == 0 {
		r.method = "HEAD"
	}
	return r
}

func (a *asker) one() asked {
	kind := a.kind()
	switch n := a.rng.IntN(40); {
	case n < 4:
		path := "/" + kind + "/" + a.target(kind)
		if tag := a.tags[path]; tag != "" && a.rng.IntN(3) == 0 {
			return asked{method: "GET", path: path, headers: []string{"If-None-Match", tag}}
		}
		return asked{method: "GET", path: path + pick(a.rng, "", "", "?_summary=true", "?_elements=id", "?_pretty=true")}
	case n < 6:
		return asked{method: "GET", path: "/" + kind + "/" + a.target(kind) + "/_history/" + pick(a.rng, "1", "2", "3")}
	case n < 8:
		return asked{method: "GET", path: "/" + kind + "/" + a.target(kind) + "/_history" + pick(a.rng, "", "?_count=1", "?_since=2026-01-01")}
	case n < 9:
		return asked{method: "GET", path: pick(a.rng, "/"+kind, "") + "/_history" + pick(a.rng, "", "?_count=5")}
	case n < 13:
		return asked{method: "GET", path: "/Patient/" + a.target("Patient") + "/" + pick(a.rng, kind, kind, "*") + "?" + a.query(kind)}
	case n < 16:
		return asked{method: "POST", path: "/" + kind + "/_search", body: a.query(kind), headers: []string{"Content-Type", "application/x-www-form-urlencoded"}}
	case n < 17:
		return asked{method: "GET", path: "?_type=" + kind + "," + a.kind() + "&" + a.query(kind)}
	case n < 21:
		return a.change(kind)
	case n < 23:
		return a.batch()
	case n < 24:
		return asked{method: "POST", path: "/Patient/$match", headers: []string{"Content-Type", "application/fhir+json"}, body: a.match()}
	case n < 25:
		return asked{method: "GET", path: "/" + kind + "/" + a.target(kind) + "/$everything"}
	}
	return asked{method: "GET", path: "/" + kind + "?" + a.query(kind)}
}

// query is a search: a criterion or two, and what shapes the answer.
func (a *asker) query(kind string) string {
	var parts []string
	for range pick(a.rng, 0, 1, 1, 1, 2) {
		parts = append(parts, a.criterion(kind))
	}
	for range pick(a.rng, 0, 0, 1, 2) {
		parts = append(parts, a.shape(kind))
	}
	return strings.Join(parts, "&")
}

func (a *asker) parameter(kind string, is func(*fhir.SearchParameter) bool) *fhir.SearchParameter {
	var all []*fhir.SearchParameter
	for def := range fhir.Parameters(kind) {
		if is(def) {
			all = append(all, def)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return pick(a.rng, all...)
}

// criterion is a parameter, chained or reversed at times, with a value that some resource has.
func (a *asker) criterion(kind string) string {
	switch a.rng.IntN(10) {
	case 0:
		if link := a.parameter(kind, isReference); link != nil {
			if to := a.known(link.Targets); to != "" {
				typed := pick(a.rng, ":"+to, "")
				return link.Name + typed + "." + a.plain(to)
			}
		}
	case 1:
		from := a.kind()
		if link := a.parameter(from, isReference); link != nil {
			return "_has:" + from + ":" + link.Name + ":" + a.plain(kind)
		}
	case 2:
		return url.QueryEscape(pick(a.rng, "_filter", "_text", "_content", "_query", "_list", "_contained")) + "=" + url.QueryEscape(a.value(kind, "display"))
	}
	return a.plain(kind)
}

func isReference(p *fhir.SearchParameter) bool { return p.Type == fhir.Reference }

func (a *asker) known(kinds []string) string {
	var all []string
	for _, k := range kinds {
		if slices.Contains(a.ehrs[0].Types(), k) {
			all = append(all, k)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return pick(a.rng, all...)
}

// open says whether the dataset shows what a parameter reads.
func (a *asker) open(kind string, p *fhir.SearchParameter) bool {
	return len(p.Elements) > 0 && !slices.ContainsFunc(p.Elements, func(path string) bool {
		rule := a.rows[kind][path]
		return rule != "keep" && rule != "reference"
	})
}

func (a *asker) plain(kind string) string {
	def := a.parameter(kind, func(p *fhir.SearchParameter) bool { return len(p.Elements) > 0 })
	if open := a.parameter(kind, func(p *fhir.SearchParameter) bool { return a.open(kind, p) }); open != nil && a.rng.IntN(3) > 0 {
		def = open // or too little would be answered
	}
	path := pick(a.rng, def.Elements...)
	modifier := ""
	if a.rng.IntN(5) == 0 {
		modifier = ":" + pick(a.rng, "missing", "exact", "contains", "not", "text", "above", "in", "identifier", "Patient")
	}
	var value string
	switch v := a.value(kind, path); {
	case modifier == ":missing":
		value = pick(a.rng, "true", "false")
	case def.Type == fhir.Reference:
		to, id, _ := strings.Cut(v, "/")
		value = pick(a.rng, to+"/", "") + a.seal(to, id)
	case def.Name == "_id":
		value = a.target(kind)
	case def.Type == fhir.Date:
		value = pick(a.rng, "", "", "eq", "ge", "lt", "ne", "sa") + v[:pick(a.rng, min(4, len(v)), min(10, len(v)), len(v))]
	case def.Type == fhir.String && len(v) > 2 && modifier == "":
		value = pick(a.rng, v, v[:2])
	default:
		value = v
	}
	if a.rng.IntN(12) == 0 {
		value += "," + a.value(kind, path)
	}
	return def.Name + modifier + "=" + url.QueryEscape(value)
}

// value is one that a resource of the type has at the path, in the one EHR or the other.
func (a *asker) value(kind, path string) string {
	ehr := a.ehrs[a.rng.IntN(2)]
	for range 4 {
		var all []string
		body, _ := ehr.Resource(kind, pick(a.rng, ehr.IDs(kind)...))
		leaves(parseTree(gjson.ParseBytes(body)), "", func(at string, v any) {
			if at != path && !strings.HasPrefix(at, path+".") && at[strings.LastIndexByte(at, '.')+1:] != path {
				return
			}
			if o, ok := v.(members); ok {
				v = o.get("reference")
			}
			all = append(all, gjson.Parse(v.(string)).String())
		})
		if len(all) > 0 {
			return pick(a.rng, all...)
		}
	}
	return pick(a.rng, "none", "2020-01-01", "Patient/1")
}

func (a *asker) shape(kind string) string {
	switch a.rng.IntN(8) {
	case 0, 1:
		by := a.parameter(kind, func(*fhir.SearchParameter) bool { return true })
		if open := a.parameter(kind, func(p *fhir.SearchParameter) bool { return a.open(kind, p) }); open != nil && a.rng.IntN(2) > 0 {
			by = open
		}
		return "_sort=" + pick(a.rng, "", "-") + by.Name
	case 2:
		if link := a.parameter(kind, isReference); link != nil {
			return pick(a.rng, "_include=", "_include:iterate=") + kind + ":" + pick(a.rng, link.Name, link.Name, "*")
		}
	case 3:
		from := a.kind()
		if link := a.parameter(from, isReference); link != nil {
			return "_revinclude=" + from + ":" + link.Name
		}
	case 4:
		return pick(a.rng, "_summary=count", "_summary=true", "_summary=data", "_total=accurate", "_total=none", "_elements=id,status,name")
	}
	return "_count=" + pick(a.rng, "1", "3", "7", "50", "0")
}

var posted = []string{"Content-Type", "application/fhir+json"}

func (a *asker) change(kind string) asked {
	path := "/" + kind + "/" + a.target(kind)
	seen := slices.DeleteFunc(slices.Sorted(maps.Keys(a.read)), func(path string) bool {
		return len(a.write[strings.Split(path, "/")[1]]) == 0
	})
	if len(seen) > 0 && a.rng.IntN(8) > 0 {
		path = pick(a.rng, seen...)
	}
	kind = strings.Split(path, "/")[1]
	headers := slices.Clone(posted)
	if tag := a.tags[path]; tag != "" && a.rng.IntN(3) > 0 {
		headers = append(headers, "If-Match", tag)
	}
	body := a.read[path]
	if body == "" {
		body = fmt.Sprintf(`{"resourceType":%q,"id":%q}`, kind, path[strings.LastIndexByte(path, '/')+1:])
	}
	changed, below := body, false
	if paths := a.write[kind]; len(paths) > 0 {
		name := pick(a.rng, paths...)
		tree := parseTree(gjson.Parse(body)).(members)
		if from := a.pool[kind+"."+name]; len(from) > 0 {
			changed = string(appendTree(nil, edited(tree, name, pick(a.rng, from...))))
			below = strings.Contains(name, ".")
			if a.rng.IntN(2) == 0 {
				headers[1] = "application/json-patch+json"
				op := fmt.Sprintf(`[{"op":%q,"path":"/%s","value":%s}]`, pick(a.rng, "replace", "add", "test"), strings.ReplaceAll(name, ".", pick(a.rng, "/", "/0/")), pick(a.rng, from...))
				return asked{method: "PATCH", path: path, body: op, headers: headers, below: strings.Contains(name, ".")}
			}
		}
	}
	unnamed := changed // of a create, the EHR gives the id
	if tree, ok := parseTree(gjson.Parse(changed)).(members); ok {
		unnamed = string(appendTree(nil, slices.DeleteFunc(tree, func(m member) bool { return m.name == "id" })))
	}
	switch a.rng.IntN(9) {
	case 0:
		return asked{method: "DELETE", path: path, headers: headers[2:]}
	case 1:
		return asked{method: "POST", path: "/" + kind, body: unnamed, headers: append(headers[:2:2], "If-None-Exist", a.plain(kind))}
	case 2:
		return asked{method: "POST", path: "/" + kind, body: unnamed, headers: append(headers[:2:2], "Idempotency-Key", fmt.Sprint("k", a.rng.IntN(5)))}
	case 3:
		return asked{method: pick(a.rng, "PUT", "PATCH"), path: "/" + kind + "?" + a.plain(kind), body: changed, headers: headers[:2]}
	}
	return asked{method: "PUT", path: path, body: changed, headers: headers, below: below}
}

func (a *asker) batch() asked {
	var entries []string
	for range 1 + a.rng.IntN(3) {
		kind := a.kind()
		to := pick(a.rng, kind+"?"+a.query(kind), kind+"/"+a.target(kind))
		if w := a.change(kind); a.rng.IntN(2) == 0 && (w.method == "PUT" || w.method == "POST") {
			entries = append(entries, fmt.Sprintf(`{"resource":%s,"request":{"method":%q,"url":%s}}`, w.body, w.method, quoted(w.path[1:])))
			continue
		}
		entries = append(entries, fmt.Sprintf(`{"request":{"method":"GET","url":%s}}`, quoted(to)))
	}
	body := fmt.Sprintf(`{"resourceType":"Bundle","type":%q,"entry":[%s]}`, pick(a.rng, "batch", "batch", "transaction"), strings.Join(entries, ","))
	return asked{method: "POST", path: "", body: body, headers: posted}
}

// match asks for a patient by what one EHR or the other knows of one.
func (a *asker) match() string {
	ehr := a.ehrs[a.rng.IntN(2)]
	body, _ := ehr.Resource("Patient", pick(a.rng, ehr.IDs("Patient")...))
	patient := `{"resourceType":"Patient"`
	for _, name := range []string{"identifier", "name", "birthDate", "gender"} {
		if v := gjson.GetBytes(body, name); v.Exists() && a.rng.IntN(2) > 0 {
			patient += "," + quoted(name) + ":" + v.Raw
		}
	}
	return `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":` + patient + `}}]}`
}
