package transforms_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/halfdoor/halfdoor/transforms"
	"github.com/halfdoor/halfdoor/transforms/reference"
)

// TestJSONTestSuite puts each text of the suite where a value is kept, and where one is dropped: the grammar is
// checked in both.
func TestJSONTestSuite(t *testing.T) {
	dir := corpus(t)
	if dir == "" {
		return
	}
	files := read(t, filepath.Join(dir, "jsontestsuite", "test_parsing", "*.json"))
	f := load(t, "suite", `{"resources": {"Basic": {"kept": "keep"}}}`)
	count := map[string]int{}
	for _, file := range files {
		for _, format := range []string{
			`{"resourceType":"Basic","kept":%s}`, `{"resourceType":"Basic","dropped":%s}`,
			`{"kept":[%s],"resourceType":"Basic"}`, `{"kept":{"a":%s,"b":1},"resourceType":"Basic"}`,
			`{"resourceType":"Bundle","entry":[{"resource":{"kept":%s,"resourceType":"Basic"}}]}`,
			`{"resourceType":"Bundle","entry":[{"resource":{"dropped":%s,"resourceType":"Claim"}}]}`, `%s`,
		} {
			doc := fmt.Appendf(nil, strings.Replace(format, "%s", "%[1]s", 1), file.data)
			o := options()
			want := reference.Filter(f.ds, compartment, o, doc)
			for _, src := range readers(doc, 0) {
				name := fmt.Sprintf("%s in %s, %s", file.name, format, src.name)
				got := filter(t, f.plan, src, o)
				agree(t, name, doc, want, got, o)
				count[file.name[:2]]++
				switch file.name[:2] {
				case "n_":
					if got.err == nil && !strings.Contains(format, "[%s]") { // nothing at all is well there
						t.Errorf("%s: let through", name)
					}
				case "y_":
					if got.err != nil && !errors.Is(got.err, transforms.ErrDuplicate) && format != "%s" {
						t.Errorf("%s: %v", name, got.err)
					}
				}
			}
		}
	}
	t.Log(count, "streams")
	if count["n_"] < 1000 || count["y_"] < 500 {
		t.Errorf("only %v streams", count)
	}
}

// tag is the meta of a resource that keeps none of its own.
const tag = `"meta":{"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]}`

// patient is what leaves of a Patient with the given members.
func patient(members string) string {
	if members != "" {
		members += ","
	}
	return `{"resourceType":"Patient",` + members + tag + `}`
}

const vectors = `{"resources": {
	"Patient": {"id": "token", "active": "keep", "name": "keep", "birthDate": "year", "gender": "mask",
		"contact.name.family": "keep", "managingOrganization": "reference", "meta.lastUpdated": "keep"},
	"Observation": {"valueQuantity": "keep"}
}}`

// TestVectors is one table of what is refused, and of what leaves to the letter.
func TestVectors(t *testing.T) {
	in := func(members string) string { return `{"resourceType":"Patient",` + members + `}` }
	keys := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":%d`, i, i)
		}
		return b.String()
	}
	nested := func(n int) string { return strings.Repeat("[", n) + "1" + strings.Repeat("]", n) }
	objects := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	bundle := func(entries string) string { return `{"resourceType":"Bundle","entry":[` + entries + `]}` }
	entry := func(resource string) string { return `{"resource":` + resource + `}` }

	for _, c := range []struct {
		name, in, want string
		err            error
	}{
		{"nothing kept", in(`"telecom":[1]`), patient(``), nil},
		{"type alone", `{"resourceType":"Patient"}`, patient(``), nil},
		{"white space around", " \t\r\n{ \"resourceType\" : \"Patient\" , \"active\" : true }\n\n", patient(`"active":true`), nil},
		{"type last", `{"active":true,"resourceType":"Patient"}`, `{"active":true,"resourceType":"Patient",` + tag + `}`, nil},
		{"type escaped", `{"\u0072esourc\u0065Type":"\u0050atient","active":true}`, ``, nil},

		{"duplicate, kept", in(`"active":true,"active":true`), "", transforms.ErrDuplicate},
		{"duplicate, dropped", in(`"x":1,"x":1`), "", transforms.ErrDuplicate},
		{"duplicate, escaped once", in(`"active":true,"\u0061ctive":false`), "", transforms.ErrDuplicate},
		{"duplicate, escaped twice", in(`"\u0061ctive":true,"acti\u0076e":false`), "", transforms.ErrDuplicate},
		{"duplicate, escaped in either case", in(`"\u00e9":1,"\u00E9":2`), "", transforms.ErrDuplicate},
		{"duplicate, escaped and not", in(`"é":1,"\u00e9":2`), "", transforms.ErrDuplicate},
		{"duplicate, surrogates and not", in(`"😀":1,"\ud83d\ude00":2`), "", transforms.ErrDuplicate},
		{"duplicate, solidus", in(`"a/b":1,"a\/b":2`), "", transforms.ErrDuplicate},
		{"duplicate, control", in(`"\n":1,"\u000a":2`), "", transforms.ErrDuplicate},
		{"duplicate, zero", in(`"\u0000":1,"\u0000":2`), "", transforms.ErrDuplicate},
		{"duplicate, empty", in(`"":1,"":2`), "", transforms.ErrDuplicate},
		{"duplicate, long", in(`"` + strings.Repeat("k", 100) + `":1,"` + strings.Repeat("k", 99) + `\u006b":2`), "", transforms.ErrDuplicate},
		{"duplicate, below what is dropped", in(`"x":[{"y":{"z":1,"z":2}}]`), "", transforms.ErrDuplicate},
		{"duplicate, below what is kept", in(`"name":[{"y":{"z":1,"\u007a":2}}]`), "", transforms.ErrDuplicate},
		{"duplicate, in an extension", in(`"name":[{"extension":[{"z":1,"z":2}]}]`), "", transforms.ErrDuplicate},
		{"duplicate, in a token's place", in(`"id":{"z":1,"z":2}`), "", transforms.ErrDuplicate},
		{"duplicate, in a reference", in(`"managingOrganization":{"display":1,"display":2}`), "", transforms.ErrDuplicate},
		{"duplicate reference", in(`"managingOrganization":{"reference":"Organization/1","reference":"Organization/2"}`), "", transforms.ErrDuplicate},
		{"duplicate, in a resource dropped", bundle(entry(`{"resourceType":"Claim","x":1,"x":2}`)), "", transforms.ErrDuplicate},
		{"duplicate, before the type", `{"x":1,"x":2,"resourceType":"Patient"}`, "", transforms.ErrDuplicate},
		{"duplicate, far apart", in(`"x":0` + keys(500) + `,"x":1`), "", transforms.ErrDuplicate},
		{"duplicate, in an entry", bundle(`{"fullUrl":"a","fullUrl":"b"}`), "", transforms.ErrDuplicate},
		{"duplicate entry", `{"resourceType":"Bundle","entry":[],"entry":[]}`, "", transforms.ErrDuplicate},
		{"duplicate meta", in(`"meta":{},"active":true,"meta":{}`), "", transforms.ErrDuplicate},
		{"duplicate id", in(`"id":"p1","id":"p2"`), "", transforms.ErrDuplicate},
		{"duplicate type", `{"resourceType":"Patient","resourceType":"Patient"}`, "", transforms.ErrDuplicate},
		{"duplicate type, another, escaped", `{"resourceType":"Patient","resourceTyp\u0065":"Observation"}`, "", transforms.ErrDuplicate},
		{"duplicate type, late", `{"active":true,"resourceType":"Patient","x":1,"resourceType":"Observation"}`, "", transforms.ErrDuplicate},
		{"no duplicate: case", in(`"Active":1,"active":true,"ACTIVE":2`), patient(`"active":true`), nil},
		{"no duplicate: normal form", in(`"\u00e9":1,"e\u0301":2`), patient(``), nil},
		{"no duplicate: zero at the end", in(`"active":true,"active\u0000":2,"a":1,"a\u0000":2,"a\u0000\u0000":3`), patient(`"active":true`), nil},
		{"no duplicate: side by side", in(`"name":[{"family":"a"},{"family":"b"}]`), patient(`"name":[{"family":"a"},{"family":"b"}]`), nil},

		{"lone high surrogate in a value", in(`"name":[{"family":"\ud83d"}]`), "", transforms.ErrUTF8},
		{"lone high surrogate dropped", in(`"x":"\ud83d"`), "", transforms.ErrUTF8},
		{"lone low surrogate", in(`"x":"\ude00"`), "", transforms.ErrUTF8},
		{"surrogates swapped", in(`"x":"\ude00\ud83d"`), "", transforms.ErrUTF8},
		{"high surrogate, then text", in(`"x":"\ud83dabcdefgh"`), "", transforms.ErrUTF8},
		{"high surrogate, then an escape", in(`"x":"\ud83d\n12345678"`), "", transforms.ErrUTF8},
		{"high surrogate, then another", in(`"x":"\ud83d\ud83d\ude00"`), "", transforms.ErrUTF8},
		{"lone surrogate in a name", in(`"\ud83d":1`), "", transforms.ErrUTF8},
		{"lone surrogate in a kept name", in(`"name":[{"\udc00":1}]`), "", transforms.ErrUTF8},
		{"lone surrogate in the id", in(`"id":"\udc00"`), "", transforms.ErrUTF8},
		{"lone surrogate in the type", `{"resourceType":"Patient\ud800"}`, "", transforms.ErrUTF8},
		{"lone surrogate in a reference", in(`"managingOrganization":{"reference":"Organization/\ud800"}`), "", transforms.ErrUTF8},

		{"invalid UTF-8 in a value", in("\"name\":[{\"family\":\"\xff\"}]"), "", transforms.ErrUTF8},
		{"invalid UTF-8 dropped", in("\"x\":\"abc\xc3\""), "", transforms.ErrUTF8},
		{"invalid UTF-8 in a name", in("\"\xc3\x28\":1"), "", transforms.ErrUTF8},
		{"invalid UTF-8 in a kept name", in("\"name\":[{\"\x80\":1}]"), "", transforms.ErrUTF8},
		{"overlong", in("\"x\":\"\xc0\xaf\""), "", transforms.ErrUTF8},
		{"overlong, three bytes", in("\"x\":\"\xe0\x80\xaf\""), "", transforms.ErrUTF8},
		{"surrogate in UTF-8", in("\"x\":\"\xed\xa0\x80\""), "", transforms.ErrUTF8},
		{"beyond Unicode", in("\"x\":\"\xf4\x90\x80\x80\""), "", transforms.ErrUTF8},
		{"rune cut by the quote", in("\"x\":\"\xf0\x9f\x98\""), "", transforms.ErrUTF8},
		{"invalid UTF-8 masked", in("\"gender\":\"\xff\""), "", transforms.ErrUTF8},
		{"invalid UTF-8 in a year", in("\"birthDate\":\"1974-\xff\""), "", transforms.ErrUTF8},
		{"invalid UTF-8 in a token", in("\"id\":\"\xff\""), "", transforms.ErrUTF8},
		{"every length of UTF-8", in(`"name":[{"family":"aé€😀"}]`), patient(`"name":[{"family":"aé€😀"}]`), nil},

		{"byte order mark", "\xef\xbb\xbf" + `{"resourceType":"Patient"}`, "", transforms.ErrSyntax},
		{"UTF-16", "\xfe\xff\x00{\x00}", "", transforms.ErrSyntax},
		{"trailing value", `{"resourceType":"Patient"}{}`, "", transforms.ErrTrailing},
		{"trailing text", `{"resourceType":"Patient"} x`, "", transforms.ErrTrailing},
		{"trailing comma", `{"resourceType":"Patient"},`, "", transforms.ErrTrailing},
		{"trailing bracket", `{"resourceType":"Patient"}]`, "", transforms.ErrTrailing},
		{"trailing zero byte", `{"resourceType":"Patient"}` + "\x00", "", transforms.ErrTrailing},
		{"trailing form feed", `{"resourceType":"Patient"}` + "\f", "", transforms.ErrTrailing},
		{"trailing resource after a Bundle", bundle("") + in(`"id":"p"`), "", transforms.ErrTrailing},
		{"empty", "", "", transforms.ErrTruncated},
		{"white space alone", " \n", "", transforms.ErrTruncated},
		{"array", `[{"resourceType":"Patient"}]`, "", transforms.ErrSyntax},
		{"string", `"Patient"`, "", transforms.ErrSyntax},
		{"number", `1`, "", transforms.ErrSyntax},
		{"null", `null`, "", transforms.ErrSyntax},

		{"comma before the end", in(`"active":true,`), "", transforms.ErrSyntax},
		{"comma twice", in(`"active":true,,"x":1`), "", transforms.ErrSyntax},
		{"comma first", `{,"resourceType":"Patient"}`, "", transforms.ErrSyntax},
		{"comma first in an array kept", in(`"name":[,1]`), "", transforms.ErrSyntax},
		{"comma last in an array kept", in(`"name":[1,]`), "", transforms.ErrSyntax},
		{"comma last in an object kept", in(`"name":[{"a":1,}]`), "", transforms.ErrSyntax},
		{"comma last in an array dropped", in(`"x":[1,]`), "", transforms.ErrSyntax},
		{"comma last in entries", bundle(entry(in(`"id":"p"`)) + ","), "", transforms.ErrSyntax},
		{"comma last in an inner array", in(`"contact":[{"name":{}},]`), "", transforms.ErrSyntax},
		{"comma missing", in(`"active":true "x":1`), "", transforms.ErrSyntax},
		{"comma missing in an array", in(`"name":[1 2]`), "", transforms.ErrSyntax},
		{"brackets crossed, kept", in(`"name":[{"a":1]}`), "", transforms.ErrSyntax},
		{"brackets crossed, dropped", in(`"x":[{"a":1]}`), "", transforms.ErrSyntax},
		{"brackets crossed, inner", in(`"contact":[{"name":{"family":"x"]}}]`), "", transforms.ErrSyntax},
		{"colon missing", in(`"active" true`), "", transforms.ErrSyntax},
		{"colon twice", in(`"active"::true`), "", transforms.ErrSyntax},
		{"name without quotes", in(`active:true`), "", transforms.ErrSyntax},
		{"name in single quotes", in(`'active':true`), "", transforms.ErrSyntax},
		{"comment", in(`/* x */"active":true`), "", transforms.ErrSyntax},
		{"control character", in("\"x\":\"a\nb\""), "", transforms.ErrSyntax},
		{"control character in a name", in("\"a\tb\":1"), "", transforms.ErrSyntax},
		{"zero byte", in("\"x\":\"a\x00b\""), "", transforms.ErrSyntax},
		{"zero byte between", in("\x00\"x\":1"), "", transforms.ErrSyntax},
		{"zero byte after a number", in("\"name\":1\x00"), "", transforms.ErrSyntax},
		{"escape unknown", in(`"x":"\x41"`), "", transforms.ErrSyntax},
		{"escape short", in(`"x":"\u00e"`), "", transforms.ErrSyntax},
		{"escape in upper case", in(`"x":"\U0041"`), "", transforms.ErrSyntax},
		{"leading zero", in(`"name":01`), "", transforms.ErrSyntax},
		{"leading plus", in(`"name":+1`), "", transforms.ErrSyntax},
		{"no digit after the point", in(`"name":1.`), "", transforms.ErrSyntax},
		{"no digit before the point", in(`"name":.5`), "", transforms.ErrSyntax},
		{"no digit in the exponent", in(`"name":1e`), "", transforms.ErrSyntax},
		{"minus alone", in(`"name":-`), "", transforms.ErrSyntax},
		{"hexadecimal", in(`"name":0x10`), "", transforms.ErrSyntax},
		{"not a number", in(`"name":NaN`), "", transforms.ErrSyntax},
		{"literal in upper case", in(`"active":True`), "", transforms.ErrSyntax},
		{"literal cut", in(`"active":tru`), "", transforms.ErrSyntax},
		{"literal too long", in(`"active":truee`), "", transforms.ErrSyntax},
		{"literal of another kind", in(`"active":nulL`), "", transforms.ErrSyntax},

		{"depth, dropped", in(`"x":` + nested(127)), patient(``), nil},
		{"too deep, dropped", in(`"x":` + nested(128)), "", transforms.ErrDepth},
		{"depth, kept", in(`"name":` + nested(127)), patient(`"name":` + nested(127)), nil},
		{"too deep, kept", in(`"name":` + nested(128)), "", transforms.ErrDepth},
		{"depth, objects kept", in(`"name":` + objects(127)), patient(`"name":` + objects(127)), nil},
		{"too deep, objects kept", in(`"name":` + objects(128)), "", transforms.ErrDepth},
		{"too deep, inner", in(`"contact":` + nested(128)), "", transforms.ErrDepth},
		{"too deep, far", in(`"x":` + strings.Repeat("[", 100000)), "", transforms.ErrDepth},
		{"too deep, open, kept", in(`"name":` + strings.Repeat(`{"a":`, 100000)), "", transforms.ErrDepth},
		{"depth in an entry", bundle(entry(in(`"x":` + nested(124)))), `{"resourceType":"Bundle","entry":[{"resource":` + patient(``) + `}]}`, nil},
		{"too deep in an entry", bundle(entry(in(`"x":` + nested(125)))), "", transforms.ErrDepth},
		{"too deep before the type", `{"x":` + nested(128) + `,"resourceType":"Patient"}`, "", transforms.ErrDepth},

		{"names, dropped", in(`"x":{"a":1` + keys(2047) + `}`), patient(``), nil},
		{"too many names, dropped", in(`"x":{"a":1` + keys(2048) + `}`), "", transforms.ErrKeys},
		{"too many names, kept", in(`"name":{"a":1` + keys(2048) + `}`), "", transforms.ErrKeys},
		{"names of the resource", in(`"a":1` + keys(2046)), patient(``), nil},
		{"too many names of the resource", in(`"a":1` + keys(2047)), "", transforms.ErrKeys},

		{"no type", `{"id":"p"}`, "", transforms.ErrNoType},
		{"no member", `{}`, "", transforms.ErrNoType},
		{"type of another kind", `{"resourceType":["Patient"]}`, "", transforms.ErrNoType},
		{"type null", `{"resourceType":null}`, "", transforms.ErrNoType},
		{"type in another case", `{"resourcetype":"Patient"}`, "", transforms.ErrNoType},
		{"type with an underscore", `{"_resourceType":"Patient"}`, "", transforms.ErrNoType},
		{"type empty", `{"resourceType":""}`, "", transforms.ErrNoRow},
		{"type of a row with more", `{"resourceType":"Patient\u0000"}`, "", transforms.ErrNoRow},
		{"type without a row", `{"resourceType":"Claim","id":"c"}`, "", transforms.ErrNoRow},
		{"type in lower case", `{"resourceType":"patient"}`, "", transforms.ErrNoRow},
		{"no type in an entry", bundle(entry(`{"id":"p"}`)), "", transforms.ErrNoType},
		{"no type in the second entry", bundle(entry(in(`"id":"p"`)) + "," + entry(`{}`)), "", transforms.ErrNoType},

		{"null", in(`"active":null,"name":null,"birthDate":null,"gender":null,"id":null,"managingOrganization":null,"contact":null`), patient(``), nil},
		{"null in an array", in(`"name":[null,{"given":["a",null],"family":null}]`), patient(`"name":[{"given":["a"]}]`), nil},
		{"nulls alone", in(`"name":[null,{"given":[null,null]},null]`), patient(``), nil},
		{"empties", in(`"name":[{},[],[{}],{"a":[{"b":[]}]}],"contact":[{"name":{}},{}],"active":[]`), patient(``), nil},
		{"empty and not", in(`"name":[{},{"a":{}},{"a":1,"b":{}},[]]`), patient(`"name":[{"a":1}]`), nil},
		{"empty text stays", in(`"name":[{"family":""}],"active":""`), patient(`"name":[{"family":""}],"active":""`), nil},
		{"objects emptied in a sibling's array", in(`"name":{"_given":[{"extension":[1]},{"id":"a"},null,{}],"given":["x",null,null,"y"]}`),
			patient(`"name":{"_given":[null,{"id":"a"},null],"given":["x",null,"y"]}`), nil},
		{"sibling's array all emptied", in(`"name":{"_given":[{"extension":[1]},null],"given":["a","b"]}`),
			patient(`"name":{"given":["a","b"]}`), nil},

		{"numbers keep their digits", `{"resourceType":"Observation","valueQuantity":{"value":1.00e-24,"x":[-0.0,1E+400,0.10,1e05]}}`,
			`{"resourceType":"Observation","valueQuantity":{"value":1.00e-24,"x":[-0.0,1E+400,0.10,1e05]},` + tag + `}`, nil},
		{"texts keep their escapes", in(`"name":[{"f\u0061mily":"\u0041\/\ud83d\ude00"}]`), ``, nil},

		{"years", in(`"birthDate":"1974-12-25"`), patient(`"birthDate":"1974"`), nil},
		{"year escaped", in(`"birthDate":"\u0031974"`), patient(`"birthDate":"1974"`), nil},
		{"year too short", in(`"birthDate":"197"`), patient(``), nil},
		{"year of a long number", in(`"birthDate":"19741225"`), patient(``), nil},
		{"mask", in(`"gender":"female","_gender":{"id":"x"}`), patient(`"gender":"***"`), nil},
		{"mask of nothing", in(`"gender":""`), patient(`"gender":"***"`), nil},
		{"mask of a number", in(`"gender":1`), patient(``), nil},
		{"token", in(`"id":"p1","_id":{"id":"x"}`), patient(`"id":"T50617469656e74-7031T"`), nil},
		{"reference", in(`"managingOrganization":{"display":"x","reference":"https://ehr.example.org/fhir/Organization/o","type":"Organization","identifier":{}}`),
			patient(`"managingOrganization":{"reference":"https://gateway.example.net/fhir/Organization/T4f7267616e697a6174696f6e-6fT","type":"Organization"}`), nil},
		{"reference elsewhere", in(`"managingOrganization":{"type":"Organization","reference":"https://elsewhere.example.net/fhir/Organization/o"}`), patient(``), nil},

		{"Bundle of nothing", `{"resourceType":"Bundle"}`, `{"resourceType":"Bundle"}`, nil},
		{"Bundle without entries left", bundle(entry(`{"resourceType":"Claim"}`) + `,{"fullUrl":"x"}`), `{"resourceType":"Bundle"}`, nil},
		{"Bundle, first entry dropped", bundle(entry(`{"resourceType":"Claim"}`) + "," + entry(in(`"active":true`))),
			`{"resourceType":"Bundle","entry":[{"resource":` + patient(`"active":true`) + `}]}`, nil},
		{"Bundle, last entry dropped", bundle(entry(in(`"active":true`)) + "," + entry(`{"resourceType":"Claim","entry":[1]}`)),
			`{"resourceType":"Bundle","entry":[{"resource":` + patient(`"active":true`) + `}]}`, nil},
		{"Bundle, type last", `{"entry":[` + entry(in(`"active":true`)) + `],"type":"searchset","resourceType":"Bundle"}`,
			`{"entry":[{"resource":` + patient(`"active":true`) + `}],"type":"searchset","resourceType":"Bundle"}`, nil},
	} {
		f := load(t, "vectors", vectors)
		o := options()
		want := reference.Filter(f.ds, compartment, o, []byte(c.in))
		for _, src := range readers([]byte(c.in), 0) {
			name := c.name + ", " + src.name
			got := filter(t, f.plan, src, o)
			if !errors.Is(got.err, c.err) {
				t.Errorf("%s: error %v, want %v", name, got.err, c.err)
			}
			if c.err == nil && c.want != "" && string(got.body) != c.want {
				t.Errorf("%s:\n got %s\nwant %s", name, got.body, c.want)
			}
			agree(t, name, []byte(c.in), want, got, o)
		}
	}
}

// TestRoot has roots that were not asked for, and such as may not leave.
func TestRoot(t *testing.T) {
	f := load(t, "narrow", narrow)
	restricted := []transforms.Label{{System: "urn:s", Code: "R"}}
	for _, c := range []struct {
		name, in string
		ask      func(*transforms.Options)
		err      error
	}{
		{"as asked", `{"resourceType":"Patient","id":"p1"}`, func(o *transforms.Options) { o.Root, o.RootID = "Patient", "p1" }, nil},
		{"id last", `{"resourceType":"Patient","x":1,"id":"p1"}`, func(o *transforms.Options) { o.Root, o.RootID = "Patient", "p1" }, nil},
		{"id escaped", `{"resourceType":"Patient","id":"\u00701"}`, func(o *transforms.Options) { o.Root, o.RootID = "Patient", "p1" }, nil},
		{"another type", `{"resourceType":"Encounter","id":"p1"}`, func(o *transforms.Options) { o.Root = "Patient" }, transforms.ErrUnexpectedRoot},
		{"another type, late", `{"id":"p1","resourceType":"Encounter"}`, func(o *transforms.Options) { o.Root = "Patient" }, transforms.ErrUnexpectedRoot},
		{"another type, no row", `{"id":"p1","resourceType":"Claim"}`, func(o *transforms.Options) { o.Root = "Patient" }, transforms.ErrUnexpectedRoot},
		{"another id", `{"resourceType":"Patient","id":"p2"}`, func(o *transforms.Options) { o.Root, o.RootID = "Patient", "p1" }, transforms.ErrUnexpectedRoot},
		{"no id", `{"resourceType":"Patient"}`, func(o *transforms.Options) { o.Root, o.RootID = "Patient", "p1" }, transforms.ErrUnexpectedRoot},
		{"id of a part", `{"resourceType":"Patient","contained":[{"id":"p1"}]}`, func(o *transforms.Options) { o.Root, o.RootID = "Patient", "p1" }, transforms.ErrUnexpectedRoot},
		{"a Bundle", `{"resourceType":"Bundle","entry":[]}`, func(o *transforms.Options) { o.Root = "Patient" }, transforms.ErrUnexpectedRoot},
		{"a Bundle, late", `{"entry":[{"resource":{"resourceType":"Patient","id":"p1"}}],"resourceType":"Bundle"}`, func(o *transforms.Options) { o.Root = "Patient" }, transforms.ErrUnexpectedRoot},
		{"not a Bundle", `{"resourceType":"Patient","id":"p1"}`, func(o *transforms.Options) { o.Root = "Bundle" }, transforms.ErrUnexpectedRoot},
		{"not a Bundle, late, with entry", `{"entry":[{"resource":{"resourceType":"Patient","id":"p1"}}],"resourceType":"List"}`, func(o *transforms.Options) { o.Root = "Bundle" }, transforms.ErrUnexpectedRoot},
		{"no type, with entry", `{"entry":[{"resource":{"resourceType":"Patient","id":"p1"}}],"type":"searchset"}`, func(o *transforms.Options) { o.Root = "Bundle" }, transforms.ErrNoType},
		{"no type, with entry, nothing asked", `{"entry":[{"resource":{"resourceType":"Patient","id":"p1"}}],"type":"searchset"}`, func(*transforms.Options) {}, transforms.ErrNoType},
		{"outcome", `{"resourceType":"OperationOutcome","issue":[{"code":"x"}]}`, func(o *transforms.Options) { o.Root = "Patient" }, transforms.ErrUnexpectedRoot},
		{"outcome asked for", `{"resourceType":"OperationOutcome","issue":[{"code":"x"}]}`, func(o *transforms.Options) { o.Root = "OperationOutcome" }, nil},
		{"label", `{"resourceType":"Patient","id":"p1","meta":{"security":[{"system":"urn:s","code":"R"}]}}`, func(o *transforms.Options) { o.DenyLabels = restricted }, transforms.ErrLabel},
		{"label and compartment", `{"resourceType":"Patient","id":"p1","meta":{"security":[{"code":"R","system":"urn:s"}]}}`, func(o *transforms.Options) { o.DenyLabels, o.Patient = restricted, "p2" }, transforms.ErrLabel},
		{"another label", `{"resourceType":"Patient","id":"p1","meta":{"security":[{"system":"urn:s","code":"N"}]}}`, func(o *transforms.Options) { o.DenyLabels = restricted }, nil},
		{"compartment", `{"resourceType":"Patient","id":"p1"}`, func(o *transforms.Options) { o.Patient = "p2" }, transforms.ErrCompartment},
		{"compartment by reference", `{"resourceType":"Encounter","id":"e","subject":{"reference":"Patient/p1"}}`, func(o *transforms.Options) { o.Patient = "p2" }, transforms.ErrCompartment},
		{"within", `{"resourceType":"Encounter","id":"e","subject":{"reference":"Patient/p1"}}`, func(o *transforms.Options) { o.Patient = "p1" }, nil},
		{"type without a compartment", `{"resourceType":"Practitioner","id":"d"}`, func(o *transforms.Options) { o.Patient = "p1" }, nil},
	} {
		for _, src := range readers([]byte(c.in), 0) {
			o := options()
			c.ask(&o)
			o.Window = 64
			got := filter(t, f.plan, src, o)
			if !errors.Is(got.err, c.err) {
				t.Errorf("%s, %s: error %v, want %v", c.name, src.name, got.err, c.err)
			}
			want := reference.Filter(f.ds, compartment, o, []byte(c.in))
			agree(t, c.name+", "+src.name, []byte(c.in), want, got, o)
		}
	}
}

// TestErrorHoldsNoContent looks for what the input said in what the error says.
func TestErrorHoldsNoContent(t *testing.T) {
	f := load(t, "narrow", narrow)
	for _, in := range []string{
		`{"resourceType":"Patient","name":[{"family":"Chalmers","secretName":"Chalmers","secretName":1}]}`,
		`{"resourceType":"Patient","secretName":{"secretName":Chalmers}}`,
		`{"resourceType":"Chalmers","secretName":{}}`,
		`{"resourceType":"Patient","secretName":"Chalmers\ud800"}`,
		`{"resourceType":"Patient","id":"secretName"} secretName`,
	} {
		got := filter(t, f.plan, strings.NewReader(in), options())
		var e *transforms.Error
		if !errors.As(got.err, &e) {
			t.Errorf("%s: %v", in, got.err)
			continue
		}
		if s := fmt.Sprintf("%v %+v %s", got.err, got.err, e.Pointer); strings.Contains(s, "Chalmers") || strings.Contains(s, "secretName") {
			t.Errorf("%s: the error says %s", in, s)
		}
		if e.Offset < 0 || e.Offset > int64(len(in)) {
			t.Errorf("%s: offset %d", in, e.Offset)
		}
	}
}

// TestLookahead bounds what is held back.
func TestLookahead(t *testing.T) {
	f := load(t, "wide", wide)
	late := `{"name":[{"family":"` + strings.Repeat("x", 50<<10) + `"}],"resourceType":"Patient"}`
	early := `{"resourceType":"Patient","name":[{"family":"` + strings.Repeat("x", 50<<10) + `"}]}`
	hidden := `{"resourceType":"Patient","photo":[{"data":"` + strings.Repeat("x", 5<<20) + `"}],"active":true}`
	name := `{"resourceType":"Patient","` + strings.Repeat("x", 2<<20) + `":1}`
	for _, c := range []struct {
		name, in  string
		lookahead int
		kinds     []error
	}{
		{"late type within", late, 100 << 10, []error{nil}},
		{"late type beyond", late, 10 << 10, []error{transforms.ErrLookahead}},
		{"a resource within", early, 100 << 10, []error{nil}},
		{"a resource beyond", early, 10 << 10, []error{transforms.ErrLookahead}},
		{"what is dropped needs none", hidden, 10 << 10, []error{nil}},
		{"a long name", name, 0, []error{transforms.ErrTooLong, transforms.ErrLookahead}},
	} {
		for _, doc := range []string{c.in, `{"resourceType":"Bundle","entry":[{"resource":` + c.in + `}]}`} {
			o := options()
			o.Window, o.Lookahead = 1024, c.lookahead
			got := filter(t, f.plan, strings.NewReader(doc), o)
			if !slices.ContainsFunc(c.kinds, func(kind error) bool { return errors.Is(got.err, kind) }) {
				t.Errorf("%s: %v, want %v", c.name, got.err, c.kinds)
			}
			if got.err != nil && bytes.Contains(got.body, []byte("xxx")) {
				t.Errorf("%s: what was refused left in part", c.name)
			}
		}
	}
}

// TestStreamOfOne has one stream give the same, byte for byte, however it arrives, and however it is cut into windows.
func TestStreamOfOne(t *testing.T) {
	for _, f := range fixtures(t) {
		for _, doc := range own(t) {
			o := options()
			o.Link = links
			want := filter(t, f.plan, bytes.NewReader(doc.data), o)
			for _, size := range []int{1, 100, 1000} {
				o.Window = size
				got := filter(t, f.plan, iotest.OneByteReader(bytes.NewReader(doc.data)), o)
				if (got.err == nil) != (want.err == nil) || want.err == nil && !bytes.Equal(got.body, want.body) ||
					want.err == nil && !reflect.DeepEqual(got.report, want.report) {
					t.Errorf("%s, %s, window %d: %v\n got %s\nwant %s", f.name, doc.name, size, got.err, got.body, want.body)
				}
			}
		}
	}
}
