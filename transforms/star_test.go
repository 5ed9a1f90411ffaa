package transforms_test

import "testing"

// TestStar has what a * leaves out, and what rows below it say otherwise.
func TestStar(t *testing.T) {
	for _, c := range []struct{ name, rows, in, want string }{
		{"all", `"*": "keep"`,
			`"id":"p1","active":true,"name":[{"family":"x","_family":{"id":"f"}}],"managingOrganization":{"reference":"Organization/1","display":"x"}`,
			`"id":"p1","active":true,"name":[{"family":"x","_family":{"id":"f"}}],"managingOrganization":{"reference":"Organization/T4f7267616e697a6174696f6e-31T"}`},
		{"what keeping leaves out", `"*": "keep"`,
			`"text":{"div":"x"},"extension":[{"url":"x"}],"modifierExtension":[{"url":"x"}],"contained":[{"resourceType":"Patient"}],"a":{"display":"x"}`, ``},
		{"one extension", `"*": "keep", "extension[url=a]": "keep"`,
			`"extension":[{"url":"b","valueString":"x"},{"url":"a","valueString":"y"},{"valueString":"z"}]`, `"extension":[{"url":"a","valueString":"y"}]`},
		{"a part of extensions", `"*": "keep", "extension.url": "keep"`, `"extension":[{"url":"b","valueString":"x"}]`, `"extension":[{"url":"b"}]`},
		{"one extension deeper", `"*": "keep", "name.extension[url=a]": "keep"`,
			`"extension":[{"url":"a"}],"name":[{"family":"x","extension":[{"url":"b"},{"url":"a"}]}]`, `"name":[{"family":"x","extension":[{"url":"a"}]}]`},
		{"one extension of a kept element", `"name": "keep", "name.extension[url=a]": "keep"`,
			`"name":[{"extension":[{"url":"b"},{"url":"a"}]}]`, `"name":[{"extension":[{"url":"a"}]}]`},
		{"a narrative's status", `"*": "keep", "text.status": "keep"`, `"text":{"status":"generated","div":"x"}`, `"text":{"status":"generated"}`},
		{"an id in a token", `"*": "keep", "id": "token"`, `"id":"p1"`, `"id":"T50617469656e74-7031T"`},
		{"masked and removed", `"*": "keep", "telecom.value": "mask", "address": "remove"`,
			`"address":[{"city":"x"}],"telecom":[{"system":"phone","value":"x","_value":{"id":"v"}}]`, `"telecom":[{"system":"phone","value":"***"}]`},
		{"a reference masked, removed and kept with its sibling", `"*": "keep", "a.reference": "mask", "b.reference": "remove", "c.reference": "keep"`,
			`"a":{"reference":"Patient/p1","type":"x"},"b":{"reference":"Patient/p1","type":"x"},"c":{"_reference":{"id":"x"},"reference":"Patient/p1"}`,
			`"a":{"reference":"***","type":"x"},"b":{"type":"x"},"c":{"_reference":{"id":"x"},"reference":"Patient/T50617469656e74-7031T"}`},
		{"removed where a condition is met", `"*": "keep", "telecom[system=phone]": "remove"`,
			`"telecom":[{"system":"phone","value":"x"},{"system":"email","value":"y"},{"value":"z","system":"phone"}]`, `"telecom":[{"system":"email","value":"y"}]`},
		{"below only", `"contact.*": "keep"`, `"contact":[{"gender":"x"},"y"],"active":true`, `"contact":[{"gender":"x"}]`},
		{"below only, and no object", `"contact.*": "keep"`, `"contact":"x","_contact":{"id":"y"}`, ``},
		{"the strictest of conditions", `"a.v": "mask", "a[s=x].v": "keep", "a[s=x,u=y].v": "year"`,
			`"a":[{"v":"1974-12","s":"x","u":"y"},{"v":"1974-12","s":"x"},{"u":"y","v":"1974-12"},{"s":["x"],"v":"1974-12"}]`,
			`"a":[{"v":"1974"},{"v":"1974-12"},{"v":"***"},{"v":"***"}]`},
		{"an escaped value", `"a[s='x\\'y,]']": "keep"`, `"a":{"\u0073":"x'y,\u005d"}`, `"a":{"\u0073":"x'y,\u005d"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := load(t, "x", `{"resources": {"Patient": {`+c.rows+`}}}`).plan
			want := `{"resourceType":"Patient",` + c.want + `,` + tag + `}`
			if c.want == "" {
				want = `{"resourceType":"Patient",` + tag + `}`
			}
			doc := []byte(`{"resourceType":"Patient",` + c.in + `}`)
			for _, src := range readers(doc, 0) {
				if got := filter(t, plan, src, options()); string(got.body) != want {
					t.Errorf("%s:\n got %s (%v)\nwant %s", src.name, got.body, got.err, want)
				}
			}
		})
	}
}
