package transforms_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/transforms"
)

func TestParseDataset(t *testing.T) {
	got, err := transforms.ParseDataset("scheduling", []byte(`{
		"title": "Appointments", "version": 3,
		"resources": {
			"Patient": {"id": "token", "meta.versionId": "keep", "identifier.value": "mask", "birthDate": "year"},
			"Appointment": {"status": "keep", "participant.actor": "reference"}
		},
		"search": {"Patient": ["identifier", "family+birthdate", "_id"]},
		"write": {"Appointment": ["status"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &transforms.Dataset{
		Name: "scheduling", Title: "Appointments", Version: 3,
		Resources: map[string]map[string]transforms.Rule{
			"Patient": {
				"id": {Method: transforms.Token}, "meta.versionId": {Method: transforms.Keep},
				"identifier.value": {Method: transforms.Mask}, "birthDate": {Method: transforms.Year},
			},
			"Appointment": {"status": {Method: transforms.Keep}, "participant.actor": {Method: transforms.Reference}},
		},
		Search: map[string][]string{"Patient": {"identifier", "family+birthdate", "_id"}},
		Write:  map[string][]string{"Appointment": {"status"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestParseDatasetProblems(t *testing.T) {
	row := func(rows string) string { return `{"resources": {"Patient": {` + rows + `}}}` }
	for _, c := range []struct {
		name, in string
		want     []string // lines
	}{
		{"not JSON", `{`, []string{"transforms: ends before its end at byte 1"}},
		{"not an object", `[]`, []string{"transforms: malformed JSON at byte 0"}},
		{"a row twice", row(`"id": "token", "i\u0064": "keep"`), []string{"transforms: member named twice at byte 51"}},
		{"data behind", `{} {}`, []string{"transforms: data after the end at byte 3"}},
		{"key unknown", `{"resource": {}}`, []string{`unknown field "resource"`}},
		{"method unknown", row(`"id": "tokenize"`), []string{`Patient.id: unknown method "tokenize" (want keep, token, reference, mask, year, month, shift, hash or {fixed: VALUE}): token?`}},
		{"method remove", row(`"id": "remove"`), []string{"Patient.id: what is not named is removed; leave the row out"}},
		{"method no string", row(`"id": {"method": "token"}`), []string{"Patient.id: a method must be a string, or {fixed: VALUE}"}},
		{"method null", row(`"id": null`), []string{"Patient.id: a method must be a string, or {fixed: VALUE}"}},
		{"version negative", `{"version": -1}`, []string{"version must not be negative"}},
		{"type", `{"resources": {"patient": {}, "Pat-ient": {}, "": {}}}`,
			[]string{`"" is not a resource type`, `"Pat-ient" is not a resource type`, `"patient" is not a resource type`}},
		{"built in", `{"resources": {"Bundle": {}, "OperationOutcome": {}}}`,
			[]string{"Bundle: its row is built in", "OperationOutcome: its row is built in"}},
		{"path", row(`"": "keep", "a..b": "keep", "_id": "keep", "a.": "keep", "name[0]": "keep", "resourceType": "keep"`), []string{
			`Patient: "" is not an element path`, `Patient: "_id" is not an element path`, `Patient: "a." is not an element path`,
			`Patient: "a..b" is not an element path`, `Patient: "name[0]" is not an element path: "0" is not a condition like [system=http://loinc.org]`,
			"Patient.resourceType: always leaves; leave the row out",
		}},
		{"contained", row(`"contained": "mask", "contained.id": "keep"`), []string{
			"Patient.contained: contained resources leave by the rows of their types, where contained is kept",
			"Patient.contained.id: contained resources leave by the rows of their types, where contained is kept",
		}},
		{"Parameters", `{"resources": {"Parameters": {"id": "keep", "parameter.name": "keep", "parameter.part.valueString": "keep", "parameter.valueString": "keep"}}}`, []string{
			"Parameters.id: its row is built in; a dataset can add rows of parameter.value… only",
			"Parameters.parameter.name: its row is built in; a dataset can add rows of parameter.value… only",
			"Parameters.parameter.part.valueString: its row is built in; a dataset can add rows of parameter.value… only",
		}},
		{"conflict", row(`"name": "keep", "name.family": "keep"`), []string{"Patient.name.family: name already says how it leaves"}},
		{"conflict with another method", row(`"name": "mask", "name.extension": "keep"`), []string{"Patient.name.extension: name already says how it leaves"}},
		{"conflict far below", row(`"a": "keep", "a.b.c.d": "keep"`), []string{"Patient.a.b.c.d: a already says how it leaves"}},
		{"widening by another method", row(`"name": "keep", "name.text": "mask"`), []string{"Patient.name.text: name already says how it leaves"}},
		{"search", `{"resources": {"Patient": {}}, "search": {"Claim": ["use"], "Patient": ["a+", "a b", "a.", "_has::b", "_has:A:b:c", "a:A.b"]}}`, []string{
			`search: "Claim" has no row`, `search: Patient: "a+" is not a search parameter`, `search: Patient: "a b" is not a search parameter`,
			`search: Patient: "a." is not a search parameter`, `search: Patient: "_has::b" is not a search parameter`,
		}},
		{"candidates", `{"resources": {"Patient": {}}, "candidates": {"Claim": 1, "Patient": 0}}`, []string{
			`candidates: "Claim" has no row`, `candidates: Patient: 0 is not from 1 to 100`,
		}},
		{"write", `{"resources": {"Patient": {}}, "write": {"Claim": [], "Patient": ["a..b"]}}`,
			[]string{`write: "Claim" has no row`, `write: Patient: "a..b" is not an element path`}},
		{"require", `{"resources": {"Patient": {"id": "keep", "name.family": "keep"}, "Slot": {"*": "keep", "status": "remove", "comment.x": "remove"}, "Parameters": {"parameter.valueCode": "keep"}},
			"require": {"Claim": ["id"], "Parameters": ["parameter"], "Patient": ["id", "name.family", "name", "resourceType", "active", "id"], "Slot": ["start", "status", "text", "comment"]}}`, []string{
			`require: "Claim" has no row`, "require: Parameters: its row is built in, and requires nothing",
			`require: Patient: "name.family" is not the name of an element of the resource itself`, "require: Patient: resourceType is always there",
			`require: Patient: no row lets "active" leave, so nobody can rely on it`, `require: Patient: "id" is there twice`,
			`require: Slot: no row lets "status" leave, so nobody can rely on it`, `require: Slot: no row lets "text" leave, so nobody can rely on it`,
		}},
		{"write, not as it is", `{"resources": {"Patient": {"id": "token", "birthDate": "year", "name.family": "keep", "gender": {"fixed": "x"}, "telecom[system=phone]": "keep",
			"address": "keep", "address[use=old]": "remove", "meta.tag": "keep", "contained": "keep", "text": "keep"}, "Claim": {"*": "keep"}},
			"write": {"Patient": ["birthDate", "name", "name.given", "gender", "telecom", "telecom.value", "address", "id", "meta.tag", "resourceType", "contained", "text.div", "active"], "Claim": ["extension"]}}`, []string{
			`write: Claim: "extension" does not always leave whole; what is written must leave by a row keep, token or reference`,
			`write: Patient: "birthDate" leaves by year, so what a client sends back is not what is there`,
			`write: Patient: "name" does not always leave whole; what is written must leave by a row keep, token or reference`,
			`write: Patient: "name.given" does not always leave whole; what is written must leave by a row keep, token or reference`,
			`write: Patient: "gender" leaves by fixed, so what a client sends back is not what is there`,
			`write: Patient: "telecom" does not always leave whole; what is written must leave by a row keep, token or reference`,
			`write: Patient: "telecom.value" does not always leave whole; what is written must leave by a row keep, token or reference`,
			`write: Patient: "address" does not always leave whole; what is written must leave by a row keep, token or reference`,
			`write: Patient: "id" is not a client's to write`, `write: Patient: "meta.tag" is not a client's to write`,
			`write: Patient: "resourceType" is not a client's to write`, `write: Patient: "contained" is not a client's to write`,
			`write: Patient: "text.div" is not a client's to write`,
			`write: Patient: "active" does not always leave whole; what is written must leave by a row keep, token or reference`,
		}},
		{"write, twice", `{"resources": {"Patient": {"name": "keep", "active": "keep"}, "Parameters": {"parameter.valueString": "keep"}},
			"write": {"Patient": ["name.given", "name", "active", "active", "name.given.x"], "Parameters": ["parameter.valueString"]}}`, []string{
			`write: Parameters are no resource that is kept`,
			`write: Patient: "name" is there already, or a part of another, or has parts that are there`,
			`write: Patient: "active" is there already, or a part of another, or has parts that are there`,
			`write: Patient: "name.given.x" is there already, or a part of another, or has parts that are there`,
		}},
		{"write, what decides", `{"resources": {"Patient": {"telecom.system": "keep", "telecom[system=phone].value": "keep", "telecom.rank": "keep", "contact": "keep", "contact.name.extension[url=x]": "keep"}},
			"write": {"Patient": ["telecom.system", "telecom.rank", "contact"]}}`, []string{
			`write: Patient: "telecom.system" decides, or holds what decides (telecom.system), how others leave; who could write it could have those shown`,
			`write: Patient: "contact" decides, or holds what decides (contact.name.extension.url), how others leave; who could write it could have those shown`,
		}},
		{"all at once", `{"version": -1, "resources": {"Patient": {"id": "x", "a.b": "keep", "a": "keep"}, "x": {}}}`, []string{
			`Patient.id: unknown method "x" (want keep, token, reference, mask, year, month, shift, hash or {fixed: VALUE})`,
			"version must not be negative", "Patient.a.b: a already says how it leaves", `"x" is not a resource type`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := transforms.ParseDataset("x", []byte(c.in))
			if err == nil {
				t.Fatal("no error")
			}
			if got := strings.Split(err.Error(), "\n"); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestWidening(t *testing.T) {
	for _, name := range []string{"extension", "modifierExtension", "display", "text", "coding.display"} {
		doc := `{"resources": {"Observation": {"code": "keep", "code.` + name + `": "keep"}}}`
		if _, err := transforms.ParseDataset("x", []byte(doc)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCompileProblems(t *testing.T) {
	if _, err := transforms.Compile(nil, nil); err == nil {
		t.Error("no dataset: no error")
	}
	_, err := transforms.Compile(&transforms.Dataset{Resources: map[string]map[string]transforms.Rule{
		"Patient": {"id": {}, "name": {Method: 200}},
	}}, nil)
	if want := "Patient.name: unknown method\nPatient.id: what is not named is removed; leave the row out"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestMethod(t *testing.T) {
	plan := load(t, "x", `{"resources": {
		"Patient": {"id": "token", "identifier.system": "keep", "identifier.value": "mask", "birthDate": "year",
			"name": "keep", "name.extension": "keep", "managingOrganization": "reference", "meta.versionId": "keep"},
		"Observation": {"code": "keep", "code.coding.display": "keep", "category": "keep", "subject": "keep",
			"text": "keep", "encounter.reference": "keep"},
		"Slot": {}}}`).plan
	for _, c := range []struct {
		kind, path string
		want       transforms.Method
	}{
		{"Patient", "id", transforms.Token},
		{"Patient", "resourceType", transforms.Keep},
		{"Patient", "", transforms.Remove},
		{"Patient", "identifier", transforms.Remove},
		{"Patient", "identifier.system", transforms.Keep},
		{"Patient", "identifier.system.x", transforms.Keep},
		{"Patient", "identifier.value", transforms.Mask},
		{"Patient", "identifier.value.x", transforms.Remove},
		{"Patient", "identifier.type", transforms.Remove},
		{"Patient", "birthDate", transforms.Year},
		{"Patient", "name", transforms.Keep},
		{"Patient", "name.given", transforms.Keep},
		{"Patient", "name.text", transforms.Keep},
		{"Patient", "name.extension", transforms.Keep},
		{"Patient", "name.extension.url", transforms.Keep},
		{"Patient", "name.modifierExtension", transforms.Remove},
		{"Patient", "name.period.extension", transforms.Remove},
		{"Patient", "managingOrganization", transforms.Reference},
		{"Patient", "managingOrganization.reference", transforms.Reference},
		{"Patient", "managingOrganization.display", transforms.Remove},
		{"Patient", "meta", transforms.Remove},
		{"Patient", "meta.versionId", transforms.Keep},
		{"Patient", "meta.security", transforms.Remove},
		{"Patient", "telecom", transforms.Remove},
		{"Observation", "id", transforms.Remove},
		{"Observation", "code.coding.code", transforms.Keep},
		{"Observation", "code.coding.display", transforms.Keep},
		{"Observation", "category.coding.code", transforms.Keep},
		{"Observation", "category.coding.display", transforms.Remove},
		{"Observation", "subject", transforms.Keep},
		{"Observation", "subject.reference", transforms.Reference},
		{"Observation", "subject.display", transforms.Remove},
		{"Observation", "performer", transforms.Remove},
		{"Observation", "performer.reference", transforms.Remove},
		{"Observation", "text.div", transforms.Keep},
		{"Observation", "encounter.reference", transforms.Reference},
		{"Slot", "id", transforms.Remove},
		{"Claim", "id", transforms.Remove},
	} {
		if got := plan.Method(c.kind, c.path); got != c.want {
			t.Errorf("%s.%s: %v, want %v", c.kind, c.path, got, c.want)
		}
	}
	for kind, want := range map[string]bool{"Patient": true, "Slot": true, "Claim": false, "Bundle": false, "OperationOutcome": false} {
		if plan.Has(kind) != want {
			t.Errorf("has %s: %v", kind, !want)
		}
	}
}

func TestMethodString(t *testing.T) {
	if transforms.Remove.String() != "remove" || transforms.Year.String() != "year" || transforms.Method(200).String() != "Method(200)" {
		t.Error("names of methods")
	}
}

// TestLongNames has names that agree in length and in their first and last eight characters,
// which is as far as a table of names looks first.
func TestLongNames(t *testing.T) {
	plan := load(t, "x", `{"resources": {"Patient": {"medicationAAACodeable": "keep", "medicationBBBCodeable": "mask"}}}`).plan
	got := filter(t, plan, strings.NewReader(`{"resourceType":"Patient","medicationCCCCodeable":"c","medicationBBBCodeable":"b","medicationAAACodeable":"a"}`), options())
	want := `{"resourceType":"Patient","medicationBBBCodeable":"***","medicationAAACodeable":"a",` + tag + `}`
	if string(got.body) != want {
		t.Errorf("got %s (%v)\nwant %s", got.body, got.err, want)
	}
}

func TestErrorUnwraps(t *testing.T) {
	plan := load(t, "x", `{"resources": {"Patient": {"id": "token"}}}`).plan
	o := options()
	o.Tokens = nil
	got := filter(t, plan, strings.NewReader(`{"resourceType":"Patient","id":"p1"}`), o)
	var e *transforms.Error
	if !errors.Is(got.err, transforms.ErrToken) || !errors.As(got.err, &e) || e.Pointer != "/id" || e.Offset != 35 {
		t.Errorf("got %+v", got.err)
	}
}

func TestParseFixed(t *testing.T) {
	for in, want := range map[string]string{
		`{"fixed": "a\u00e9\"/"}`: `"aé\"/"`, `{"fixed": 1.50}`: `1.50`, `{"fixed": true}`: `true`, `{"fixed": ""}`: `""`,
	} {
		ds, err := transforms.ParseDataset("x", []byte(`{"resources": {"Patient": {"gender": `+in+`}}}`))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := ds.Resources["Patient"]["gender"]; got != (transforms.Rule{Method: transforms.Fixed, Value: want}) {
			t.Errorf("%s: %+v", in, got)
		}
	}
}

// TestPathProblems has the messages for paths that are none, and for rows that contradict each other.
func TestPathProblems(t *testing.T) {
	for _, c := range []struct{ name, rows, want string }{
		{"no end", `"a[b=c": "keep"`, `Patient: "a[b=c" is not an element path: b=: the ] is missing`},
		{"no condition", `"a[b]": "keep"`, `Patient: "a[b]" is not an element path: "b" is not a condition like [system=http://loinc.org]`},
		{"nothing", `"a[": "keep"`, `Patient: "a[" is not an element path: a condition is [member=value]; the ] is missing`},
		{"a comma", `"a[b=c,d]": "keep"`, `Patient: "a[b=c,d]" is not an element path: "d" is not member=value; a value with a comma is quoted: [system='a,b']`},
		{"a space", `"a[b=c d]": "keep"`, `Patient: "a[b=c d]" is not an element path: b=: quote it: 'c d'`},
		{"a quote inside", `"a[b=c'd]": "keep"`, `Patient: "a[b=c'd]" is not an element path: b=: quote it: 'c\'d'`},
		{"a quote open", `"a[b='c]": "keep"`, `Patient: "a[b='c]" is not an element path: b=: the closing quote is missing`},
		{"text behind a quote", `"a[b='c'd]": "keep"`, `Patient: "a[b='c'd]" is not an element path: b=: after the closing quote comes , or ]; a quote in a value is \'`},
		{"an escape", `"a[b='\\n']": "keep"`, `Patient: "a[b='\\n']" is not an element path: b=: a backslash stands before ' or \ only`},
		{"no value", `"a[b=]": "keep"`, `Patient: "a[b=]" is not an element path: b=: a value is missing`},
		{"a path for a member", `"a[b.c=d]": "keep"`, `Patient: "a[b.c=d]" is not an element path: "b.c" is not the name of a member`},
		{"twice", `"a[b=c,b=d]": "keep"`, `Patient: "a[b=c,b=d]" is not an element path: b= is there twice; a row is for one value of it`},
		{"a name behind", `"a[b=c]d": "keep"`, `Patient: "a[b=c]d" is not an element path: after ] comes a dot or nothing, not "d"`},
		{"of the root", `"[b=c].a": "keep"`, `Patient: "[b=c].a" is not an element path`},
		{"of meta", `"meta[b=c].tag": "keep"`, `Patient.meta[b=c].tag: there is one only, so it takes no conditions`},
		{"of a text", `"a.text[b=c]": "keep"`, `Patient.a.text[b=c]: a text takes no conditions`},
		{"star inside", `"a.*.b": "keep"`, `Patient: "a.*.b" is not an element path: * is for everything below, so nothing can follow it`},
		{"star masked", `"a.*": "mask"`, `Patient.a.*: * can only be kept`},
		{"star below a row", `"a": "keep", "a.*": "keep"`, `Patient.a.*: a already says how it leaves`},
		{"the same", `"a[b=c,d=e]": "keep", "a[d=e,b='c']": "mask"`, `Patient.a[d=e,b='c']: a[b=c,d=e] says the same`},
		{"either", `"a[b=c].x": "keep", "a[d=e].x": "mask"`, `Patient.a[d=e].x: a[b=c].x can be of the same object, and says otherwise; add a row with the conditions of both`},
		{"part of a kept one", `"a": "keep", "a[b=c].x": "mask"`, `Patient.a[b=c].x: a already says how it leaves; a.* would leave room for it`},
		{"removed", `"a": "remove"`, `Patient.a: what is not named is removed; leave the row out`},
		{"fixed without", `"a": "fixed"`, `Patient.a: fixed needs its value: {fixed: VALUE}`},
		{"fixed null", `"a": {"fixed": null}`, `Patient.a: a fixed value must be a string, a number, true or false`},
		{"fixed list", `"a": {"fixed": [1]}`, `Patient.a: a fixed value must be a string, a number, true or false`},
		{"fixed and more", `"a": {"fixed": 1, "x": 1}`, `Patient.a: a method must be a string, or {fixed: VALUE}`},
		{"misspelt", `"a": "maks"`, `Patient.a: unknown method "maks" (want keep, token, reference, mask, year, month, shift, hash or {fixed: VALUE}): mask?`},
		{"too many ways", manyWays(), `Patient.a[b=v0].x: its conditions can be met in more than 256 ways`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := transforms.ParseDataset("x", []byte(`{"resources": {"Patient": {`+c.rows+`}}}`))
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
	for _, rows := range []string{
		`"a[b=c].x": "keep", "a[d=e].x": "mask", "a[b=c,d=e].x": "year"`,
		`"a[b=c].x": "keep", "a[b=d].x": "mask", "a.x": "year", "a.y": "keep"`,
		`"a[b=http://x.y/z?q=1#f].x": "keep", "a[b='']": "keep"`,
		`"a.*": "keep", "a[b=c]": "remove", "a.d": "remove"`,
		`"a": "keep", "a[b=c]": "remove", "a.extension[url=x]": "keep"`,
	} {
		if _, err := transforms.ParseDataset("x", []byte(`{"resources": {"Patient": {`+rows+`}}}`)); err != nil {
			t.Errorf("%s: %v", rows, err)
		}
	}
}

func manyWays() string {
	var rows []string
	for i := range 16 {
		rows = append(rows, fmt.Sprintf(`"a[b=v%d].x": "keep", "a[c=v%d].x": "keep"`, i, i))
	}
	return strings.Join(rows, ", ")
}

// TestMethodDecided holds that what a condition decides, or a method changes, is never taken for kept.
func TestMethodDecided(t *testing.T) {
	plan := load(t, "x", `{"resources": {
		"Patient": {"identifier.use": "keep", "identifier.value": "mask", "identifier[system=a].value": "keep", "identifier[system=a].type": "keep",
			"telecom[system=phone]": "keep", "birthDate": "shift", "deceasedDateTime": "month", "gender": {"fixed": "x"}, "id": "hash",
			"name": "keep", "name.extension[url=x]": "keep", "address": "keep", "address[use=old]": "remove"},
		"Encounter": {"*": "keep", "identifier.value": "mask", "period": "remove", "subject": "reference", "type[a=b]": "remove"},
		"Account": {"*": "keep", "extension.url": "keep", "text.status": "keep"},
		"Claim": {"item.*": "keep", "item.note": "remove", "total.*": "keep"}}}`).plan
	for _, c := range []struct {
		kind, path string
		want       transforms.Method
	}{
		{"Patient", "identifier", transforms.Remove},
		{"Patient", "identifier.use", transforms.Keep},
		{"Patient", "identifier.value", transforms.Remove},
		{"Patient", "identifier.type", transforms.Remove},
		{"Patient", "telecom", transforms.Remove},
		{"Patient", "telecom.value", transforms.Remove},
		{"Patient", "birthDate", transforms.Shift},
		{"Patient", "deceasedDateTime", transforms.Month},
		{"Patient", "gender", transforms.Fixed},
		{"Patient", "id", transforms.Hash},
		{"Patient", "name", transforms.Keep},
		{"Patient", "name.extension", transforms.Remove},
		{"Patient", "name.given", transforms.Keep},
		{"Patient", "address", transforms.Remove},
		{"Patient", "address.line", transforms.Remove},
		{"Encounter", "status", transforms.Keep},
		{"Encounter", "id", transforms.Keep},
		{"Encounter", "meta.lastUpdated", transforms.Keep},
		{"Encounter", "meta", transforms.Keep},
		{"Encounter", "identifier", transforms.Remove},
		{"Encounter", "identifier.value", transforms.Mask},
		{"Encounter", "identifier.system", transforms.Keep},
		{"Encounter", "identifier.assigner.reference", transforms.Reference},
		{"Encounter", "identifier.assigner.display", transforms.Remove},
		{"Encounter", "period", transforms.Remove},
		{"Encounter", "period.start", transforms.Remove},
		{"Encounter", "subject", transforms.Reference},
		{"Encounter", "extension", transforms.Remove},
		{"Encounter", "extension.url", transforms.Remove},
		{"Encounter", "contained", transforms.Remove},
		{"Encounter", "type", transforms.Remove},
		{"Encounter", "type.text", transforms.Remove},
		{"Account", "extension", transforms.Remove},
		{"Account", "extension.url", transforms.Keep},
		{"Account", "extension.valueString", transforms.Remove},
		{"Account", "text.status", transforms.Keep},
		{"Claim", "item", transforms.Remove},
		{"Claim", "item.note", transforms.Remove},
		{"Claim", "item.sequence", transforms.Keep},
		{"Claim", "item.sequence.extension", transforms.Remove},
		{"Claim", "total", transforms.Keep},
		{"Claim", "status", transforms.Remove},
	} {
		if got := plan.Method(c.kind, c.path); got != c.want {
			t.Errorf("%s.%s: %v, want %v", c.kind, c.path, got, c.want)
		}
	}
}
