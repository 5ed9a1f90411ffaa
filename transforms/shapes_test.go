package transforms_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/transforms"
	"github.com/halfdoor/halfdoor/transforms/reference"
)

const shapes = `{"resources": {"Patient": {"active": "keep"}, "Encounter": {"id": "token", "subject": "reference"}}}`

// refusal is what takes the place of an answer that may not leave, to the letter.
const refusal = `{"response":{"status":"403 Forbidden","outcome":{"resourceType":"OperationOutcome",` +
	`"issue":[{"severity":"error","code":"forbidden","details":{"text":"The gateway does not release this answer."}}]}}}`

// TestBundles has each type of Bundle, to the letter.
func TestBundles(t *testing.T) {
	f := load(t, "shapes", shapes)
	const (
		active  = `{"resourceType":"Patient","active":true}`
		claim   = `{"resourceType":"Claim","id":"secret"}`
		ehr     = "https://ehr.example.org/fhir/"
		gateway = "https://gateway.example.net/fhir/"
		p1, e1  = "T50617469656e74-7031T", "T456e636f756e746572-6531T"
	)
	in := func(kind, entries string) string {
		return `{"resourceType":"Bundle","type":"` + kind + `","entry":[` + entries + `]}`
	}
	late := func(kind, entries string) string {
		return `{"entry":[` + entries + `],"resourceType":"Bundle","type":"` + kind + `"}`
	}
	out := patient(`"active":true`)
	answer := func(kind string) string { return `{"response":{"status":"` + kind + `"}}` }

	for _, c := range []shape{
		{"history", in("history", `{"fullUrl":"`+ehr+`Patient/p1","resource":`+active+`,"request":{"method":"PUT","url":"Patient/p1","ifMatch":"W/1"},`+
			`"response":{"status":"200 OK","etag":"W/1","lastModified":"2020-01-01T00:00:00Z","location":"`+ehr+`Patient/p1/_history/2"}},`+
			`{"request":{"method":"DELETE","url":"Patient/p1"},"response":{"status":"204"}}`),
			in("history", `{"fullUrl":"`+gateway+`Patient/`+p1+`","resource":`+out+`,"request":{"method":"PUT","url":"Patient/`+p1+`"},`+
				`"response":{"status":"200","location":"`+gateway+`Patient/`+p1+`/_history/2"}}`), nil, nil},
		{"history, a created one", in("history", `{"resource":`+active+`,"request":{"url":"Patient","method":"POST"}}`),
			in("history", `{"resource":`+out+`,"request":{"url":"Patient","method":"POST"}}`), nil, nil},
		{"history, a conditional one", in("history", `{"resource":`+active+`,"request":{"method":"PUT","url":"Patient?identifier=secret"},"response":{"status":"2000"}}`),
			in("history", `{"resource":`+out+`}`), nil, nil},
		{"history, of a type without a row", in("history", `{"resource":`+claim+`,"request":{"method":"PUT","url":"Claim/secret"},"response":{"status":"200"}}`),
			`{"resourceType":"Bundle","type":"history"}`, nil, nil},
		{"searchset", in("searchset", `{"resource":`+claim+`,"response":{"status":"200"}}`), `{"resourceType":"Bundle","type":"searchset"}`, nil, nil},
		{"searchset, how sure a match is", in("searchset", `{"resource":`+active+`,"search":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/match-grade","valueCode":"probable","id":"secret"},`+
			`{"url":"secret","valueCode":"certain"},{"valueCode":"secret","url":"http://hl7.org/fhir/StructureDefinition/match-grade"},7],"mode":"match","score":0.80}},`+
			`{"resource":`+active+`,"search":{"mode":"match","extension":[{"valueCode":"c\u0065rtain","url":"http:\/\/hl7.org/fhir/StructureDefinition/match-grade"}]}},`+
			`{"resource":`+active+`,"search":{"extension":[{"url":"secret"}]}},{"resource":`+active+`,"search":{"extension":"secret"}}`),
			in("searchset", `{"resource":`+out+`,"search":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/match-grade","valueCode":"probable"}],"mode":"match","score":0.80}},`+
				`{"resource":`+out+`,"search":{"mode":"match","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/match-grade","valueCode":"certain"}]}},`+
				`{"resource":`+out+`},{"resource":`+out+`}`), nil, nil},
		{"batch, refused", in("batch-response", `{"resource":`+active+`,"response":{"status":"200 OK"}},`+
			`{"fullUrl":"`+ehr+`Claim/secret","resource":`+claim+`,"response":{"status":"200 OK","location":"Claim/secret"}},`+answer("201 Created")),
			in("batch-response", `{"resource":`+out+`,"response":{"status":"200"}},`+refusal+`,`+answer("201")), nil, nil},
		{"batch, nothing at all", in("batch-response", `null,{},7,{"response":{}},{"response":7},{"fullUrl":"x"}`),
			in("batch-response", strings.Join([]string{refusal, refusal, refusal, refusal, refusal, refusal}, ",")), nil, nil},
		{"batch, response alone", in("batch-response", `{"fullUrl":"`+ehr+`Patient/p1","response":{"status":"201","location":"Patient/p1/_history/1"},"request":{"method":"PUT","url":"Patient/p1"}}`),
			in("batch-response", `{"response":{"status":"201","location":"Patient/`+p1+`/_history/1"}}`), nil, nil},
		{"batch, location of a type without a row", in("batch-response", `{"response":{"status":"201","location":"Claim/secret"}}`), in("batch-response", answer("201")), nil, nil},
		{"batch, outcome", in("batch-response", `{"response":{"status":"404 of secret","outcome":{"resourceType":"OperationOutcome","text":{"div":"secret"},"issue":[{"severity":"error","code":"not-found","diagnostics":"secret"}]}}}`),
			in("batch-response", `{"response":{"status":"404","outcome":{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found"}]}}}`), nil, nil},
		{"outcome, what is no code", `{"resourceType":"OperationOutcome","issue":[{"severity":{"extension":[{"url":"secret"}],"value":"secret"},"code":["secret"]},{"severity":"Peter Secret","code":"no-such-thing","_code":{"id":"secret"}},` +
			`{"severity":"err\u006fr","code":12},{"severity":null,"code":""},{"code":"` + strings.Repeat("x", 65) + `"},{"severity":true,"_severity":"secret"},{"severity":"Secret"},["secret"],"secret"],"_issue":[{"id":"secret"}]}`,
			`{"resourceType":"OperationOutcome","issue":[{"code":"no-such-thing"},{"severity":"error"}]}`, nil, nil},
		{"mode that is no code", in("searchset", `{"resource":`+active+`,"search":{"mode":"of secret","score":1}},{"resource":`+active+`,"search":{"mode":"SECRET"}}`),
			in("searchset", `{"resource":`+out+`,"search":{"score":1}},{"resource":`+out+`}`), nil, nil},
		{"batch, outcome that is none", in("batch-response", `{"response":{"status":"200","outcome":`+active+`}}`), in("batch-response", answer("200")), nil, nil},
		{"transaction, compartment", in("transaction-response", `{"resource":{"resourceType":"Patient","id":"p1","active":true},"response":{"status":"200"}},`+
			`{"response":{"status":"200"},"resource":{"resourceType":"Patient","id":"p2","active":true}}`),
			in("transaction-response", `{"resource":`+out+`,"response":{"status":"200"}},`+refusal), func(o *transforms.Options) { o.Patient = "p1" }, nil},
		{"batch, label", in("batch-response", `{"resource":{"resourceType":"Patient","active":true,"meta":{"security":[{"system":"s","code":"R"}]}},"response":{"status":"200"}}`),
			in("batch-response", refusal), func(o *transforms.Options) { o.DenyLabels = []transforms.Label{{System: "s", Code: "R"}} }, nil},

		{"batch, type last", late("batch-response", `{"resource":`+claim+`,"response":{"status":"200"}},`+answer("204")), late("batch-response", refusal+`,`+answer("204")), nil, nil},
		{"history, type last", late("history", `{"resource":`+claim+`,"response":{"status":"200"},"request":{"method":"GET","url":"Claim/1"}},{"resource":`+active+`}`),
			late("history", `{"resource":`+out+`}`), nil, nil},
		{"searchset, type last", late("searchset", `{"resource":`+claim+`}`), `{"resourceType":"Bundle","type":"searchset"}`, nil, nil},
		{"searchset, type last, shaped like a batch", late("searchset", `{"resource":`+claim+`,"response":{"status":"200"}}`), "", nil, transforms.ErrUnexpectedRoot},
		{"batch, type last, not shaped like one", late("batch-response", `{"resource":`+claim+`}`), "", nil, transforms.ErrUnexpectedRoot},
		{"searchset wanted, type last, shaped like a batch", late("searchset", `{"resource":`+claim+`,"response":{"status":"200"}}`), `{"resourceType":"Bundle","type":"searchset"}`,
			func(o *transforms.Options) { o.BundleType = "searchset" }, nil},
		{"batch wanted, type last, not shaped like one", late("batch-response", `{"resource":`+claim+`},7`), late("batch-response", refusal+`,`+refusal),
			func(o *transforms.Options) { o.BundleType = "batch-response" }, nil},
		{"searchset wanted, another", in("collection", ``), "", func(o *transforms.Options) { o.BundleType = "searchset" }, transforms.ErrUnexpectedRoot},
		{"searchset wanted, no type", `{"resourceType":"Bundle"}`, "", func(o *transforms.Options) { o.BundleType = "searchset" }, transforms.ErrUnexpectedRoot},
		{"searchset wanted, another, last", late("batch-response", `{"resource":`+claim+`}`), "", func(o *transforms.Options) { o.BundleType = "searchset" }, transforms.ErrUnexpectedRoot},

		{"types", in("searchset", `{"fullUrl":"`+ehr+`Encounter/secret","resource":{"resourceType":"Encounter","id":"secret"}},{"resource":`+active+`},`+
			`{"resource":`+in("searchset", `{"resource":{"resourceType":"Encounter","id":"secret"}},{"resource":`+active+`}`)+`},`+
			`{"resource":{"resourceType":"OperationOutcome"}},{"resource":{"resourceType":"Parameters","parameter":[{"name":"secret","resource":`+active+`}]}}`),
			in("searchset", `{"resource":`+out+`},{"resource":`+in("searchset", `{"resource":`+out+`}`)+`},{"resource":{"resourceType":"OperationOutcome"}}`), asking("Patient"), nil},
		{"types, Parameters among them", in("collection", `{"resource":{"resourceType":"Parameters","parameter":[{"name":"a","resource":`+active+`},{"name":"b","resource":{"resourceType":"Encounter","id":"secret"}}]}}`),
			in("collection", `{"resource":{"resourceType":"Parameters","parameter":[{"name":"a","resource":`+out+`}]}}`), asking("Parameters", "Patient"), nil},
		{"types, in a batch", in("batch-response", `{"resource":{"resourceType":"Encounter","id":"secret"},"response":{"status":"200"}},{"response":{"status":"201","location":"Encounter/secret/_history/1"}}`),
			in("batch-response", refusal+`,`+answer("201")), asking("Patient"), nil},
		{"types, in a history", in("history", `{"resource":`+active+`,"request":{"method":"POST","url":"Encounter"}},{"resource":`+active+`,"request":{"method":"PUT","url":"Encounter/secret"}}`),
			in("history", `{"resource":`+out+`},{"resource":`+out+`}`), asking("Patient"), nil},
		{"types, none", in("collection", `{"resource":`+active+`}`), `{"resourceType":"Bundle","type":"collection"}`, func(o *transforms.Options) { o.Types = []string{} }, nil},
		{"types, at the root", `{"resourceType":"Encounter","id":"secret"}`, "", asking("Patient"), transforms.ErrNoRow},
		{"types, at the root, the one asked for", active, out, asking("Encounter", "Patient"), nil},

		{"nested", in("batch-response", `{"response":{"status":"200"},"resource":`+in("searchset", `{"resource":`+claim+`},{"fullUrl":"`+ehr+`Encounter/e1","resource":{"resourceType":"Encounter","id":"e1","subject":{"reference":"Patient/p1"}}}`)+`}`),
			in("batch-response", `{"response":{"status":"200"},"resource":`+in("searchset", `{"fullUrl":"`+gateway+`Encounter/`+e1+`","resource":{"resourceType":"Encounter","id":"`+e1+`","subject":{"reference":"Patient/`+p1+`"},`+tag+`}}`)+`}`), nil, nil},
		{"nested, type last", in("searchset", `{"resource":`+late("batch-response", `{"resource":`+claim+`}`)+`}`), in("searchset", `{"resource":`+late("batch-response", refusal)+`}`), nil, nil},
		{"nested, labelled", in("searchset", `{"resource":{"resourceType":"Bundle","type":"document","entry":[{"resource":`+active+`}],"meta":{"security":[{"code":"R","system":"s"}]}}}`),
			`{"resourceType":"Bundle","type":"searchset"}`, func(o *transforms.Options) { o.DenyLabels = []transforms.Label{{System: "s", Code: "R"}} }, nil},
		{"nested as deep as may be", in("a", `{"resource":`+in("b", `{"resource":`+in("c", `{"resource":`+in("d", `{"resource":`+active+`}`)+`}`)+`}`)+`}`),
			in("a", `{"resource":`+in("b", `{"resource":`+in("c", `{"resource":`+in("d", `{"resource":`+out+`}`)+`}`)+`}`)+`}`), nil, nil},
		{"nested too deep", in("a", `{"resource":`+in("b", `{"resource":`+in("c", `{"resource":`+in("d", `{"resource":`+in("e", ``)+`}`)+`}`)+`}`)+`}`),
			in("a", `{"resource":`+in("b", `{"resource":`+in("c", `{"resource":{"resourceType":"Bundle","type":"d"}}`)+`}`)+`}`), nil, nil},
	} {
		c.run(t, f)
	}
}

// TestEntryID has the history of one resource, in which an EHR answers with others.
func TestEntryID(t *testing.T) {
	f := load(t, "entries", `{"resources": {"Patient": {"id": "token", "active": "keep", "contained": "keep"}, "Basic": {"id": "token"}}}`)
	of := func(o *transforms.Options) { o.EntryID = "p1" }
	history := func(all string) string { return `{"resourceType":"Bundle","type":"history","entry":[` + all + `]}` }
	const (
		p1       = `{"resource":{"resourceType":"Patient","id":"p1"}}`
		p1Out    = `{"resource":{"resourceType":"Patient","id":"T50617469656e74-7031T",` + tag + `}}`
		empty    = `{"resourceType":"Bundle","type":"history"}`
		response = `,"request":{"method":"PUT","url":"Patient/p2"},"response":{"status":"200"}}`
	)
	for _, c := range []shape{
		{"of another id", history(p1 + `,{"resource":{"resourceType":"Patient","id":"p12"}` + response), history(p1Out), of, nil},
		{"of its beginning", history(`{"resource":{"resourceType":"Patient","id":"p"}}`), empty, of, nil},
		{"without an id", history(`{"resource":{"resourceType":"Patient","active":true}},` + p1), history(p1Out), of, nil},
		{"its id last", history(`{"resource":{"resourceType":"Patient","active":true,"id":"p2"}}`), empty, of, nil},
		{"contained in it", history(`{"resource":{"resourceType":"Patient","contained":[{"resourceType":"Patient","id":"c"}],"id":"p2"}}`), empty, of, nil},
		{"containing another", history(`{"resource":{"resourceType":"Patient","id":"p1","contained":[{"resourceType":"Basic","id":"p2"}]}}`),
			history(`{"resource":{"resourceType":"Patient","id":"T50617469656e74-7031T","contained":[{"resourceType":"Basic","id":"p2"}],` + tag + `}}`), of, nil},
		{"within a Bundle", history(`{"resource":` + history(p1+`,{"resource":{"resourceType":"Patient","id":"p2"}}`) + `}`), history(`{"resource":` + history(p1Out) + `}`), of, nil},
		{"at the root", `{"resourceType":"Patient","id":"p2"}`, "", of, transforms.ErrUnexpectedRoot},
		{"itself", `{"resourceType":"Patient","id":"p1"}`, `{"resourceType":"Patient","id":"T50617469656e74-7031T",` + tag + `}`, of, nil},
	} {
		c.run(t, f)
	}
}

// TestSearched has what a search includes, and what it must not.
func TestSearched(t *testing.T) {
	f := load(t, "searched", `{"resources": {"Patient": {"id": "token", "active": "keep"},
		"Encounter": {"id": "token", "subject": "reference", "status": "keep"}, "Claim": {"id": "token", "item.encounter": "keep", "status": "keep"}}}`)
	const (
		ehr     = "https://ehr.example.org/fhir/"
		gateway = "https://gateway.example.net/fhir/"
		p1, e1  = "T50617469656e74-7031T", "T456e636f756e746572-6531T"
		c1      = "T436c61696d-6331T"
	)
	entries := func(all ...string) string {
		var list []string
		for _, one := range all {
			list = append(list, `{"resource":`+one+`}`)
		}
		return `{"resourceType":"Bundle","type":"searchset","entry":[` + strings.Join(list, ",") + `]}`
	}
	const empty = `{"resourceType":"Bundle","type":"searchset"}`
	patient := func(id string) string { return `{"resourceType":"Patient","id":"` + id + `"}` }
	encounter := func(more string) string {
		return `{"resourceType":"Encounter","id":"e1",` + more + `"subject":{"reference":"Patient/p1"}}`
	}
	const claim = `{"resourceType":"Claim","id":"c1","item":[{"encounter":[{"reference":"` + ehr + `Encounter/e1"}]}]}`
	var (
		patientOut   = `{"resourceType":"Patient","id":"` + p1 + `",` + tag + `}`
		encounterOut = `{"resourceType":"Encounter","id":"` + e1 + `","subject":{"reference":"Patient/` + p1 + `"},` + tag + `}`
		claimOut     = `{"resourceType":"Claim","id":"` + c1 + `","item":[{"encounter":[{"reference":"` + gateway + `Encounter/` + e1 + `"}]}],` + tag + `}`
		label        = `"meta":{"security":[{"system":"s","code":"R"}]},`
	)
	searched := func(types ...string) func(*transforms.Options) {
		return func(o *transforms.Options) { o.Searched = types; restricted(o) }
	}
	for _, c := range []shape{
		{"included", entries(encounter(""), patient("p1"), patient("secret")), entries(encounterOut, patientOut), searched("Encounter"), nil},
		{"included, of the type that was searched", entries(encounter(""), patient("p1")), entries(encounterOut, patientOut), searched("Patient", "Encounter"), nil},
		{"included by what is withheld", entries(encounter(label), patient("p1")), empty, searched("Encounter"), nil},
		{"included by a reference that does not leave", entries(`{"resourceType":"Encounter","id":"e1","status":"planned","partOf":{"reference":"Claim/c1"}}`, `{"resourceType":"Claim","id":"c1"}`),
			entries(`{"resourceType":"Encounter","id":"` + e1 + `","status":"planned",` + tag + `}`), searched("Encounter"), nil},
		{"included in two steps", entries(claim, encounter(""), patient("p1")), entries(claimOut, encounterOut, patientOut), searched("Claim"), nil},
		{"included in two steps, the first withheld", entries(claim, encounter(label), patient("p1")), entries(claimOut), searched("Claim"), nil},
		{"included before what leads to it", entries(patient("p1"), encounter("")), entries(encounterOut), searched("Encounter"), nil},
		{"included in reverse", entries(patient("p1"), encounter(""), claim), entries(patientOut, encounterOut, claimOut), searched("Patient"), nil},
		{"included in reverse, by what is withheld", entries(patient("p1"), encounter(label), claim), entries(patientOut), searched("Patient"), nil},
		{"included without an id", entries(encounter(""), `{"resourceType":"Patient","active":true}`), entries(encounterOut), searched("Encounter"), nil},
		{"at the root", patient("p1"), "", searched("Encounter"), transforms.ErrNoRow},
	} {
		c.run(t, f)
	}
}

// shape is one document, and what leaves of it.
type shape struct {
	name, in, want string
	ask            func(*transforms.Options)
	err            error
}

// run has the document arrive in every way. Nothing secret may leave.
func (c shape) run(t *testing.T, f fixture) {
	t.Helper()
	o := options()
	if c.ask != nil {
		c.ask(&o)
	}
	o.Window = 64
	want := reference.Filter(f.ds, compartment, o, []byte(c.in))
	for _, src := range readers([]byte(c.in), 0) {
		got := filter(t, f.plan, src, o)
		if !errors.Is(got.err, c.err) {
			t.Errorf("%s, %s: error %v, want %v", c.name, src.name, got.err, c.err)
		}
		if c.err == nil && string(got.body) != c.want {
			t.Errorf("%s, %s:\n got %s\nwant %s", c.name, src.name, got.body, c.want)
		}
		if strings.Contains(string(got.body), "secret") {
			t.Errorf("%s, %s: a trace is left in %s", c.name, src.name, got.body)
		}
		agree(t, c.name+", "+src.name, []byte(c.in), want, got, o)
	}
}

func restricted(o *transforms.Options) { o.DenyLabels = []transforms.Label{{System: "s", Code: "R"}} }

func asking(types ...string) func(*transforms.Options) {
	return func(o *transforms.Options) { o.Types = types }
}

// TestContained has contained resources before and behind what refers to them.
func TestContained(t *testing.T) {
	f := load(t, "contained", `{"resources": {
		"Encounter": {"contained": "keep", "subject": "reference", "serviceProvider": "keep", "status": "keep"},
		"Patient": {"id": "token", "active": "keep", "contained": "keep", "meta": "keep", "managingOrganization": "reference"},
		"Observation": {"subject": "reference", "note": "keep"}}}`)
	const p1 = "T50617469656e74-7031T"
	label := `"meta":{"security":[{"code":"R","system":"s"}]}`
	encounter := func(members string) string { return `{"resourceType":"Encounter",` + members + `}` }
	out := func(members string) string { return encounter(members + tag) }
	for _, c := range []shape{
		{"before", encounter(`"contained":[{"resourceType":"Patient","id":"a","active":true,"name":"secret"}],"subject":{"reference":"#a"}`),
			out(`"contained":[{"resourceType":"Patient","id":"a","active":true}],"subject":{"reference":"#a"},`), nil, nil},
		{"behind", encounter(`"subject":{"reference":"#a"},"serviceProvider":{"reference":"#b","type":"Organization"},"contained":[{"id":"a","resourceType":"Patient"},{"resourceType":"Organization","id":"b","name":"secret"}]`),
			out(`"subject":{"reference":"#a"},"serviceProvider":{"type":"Organization"},"contained":[{"id":"a","resourceType":"Patient"}],`), nil, nil},
		{"type last", `{"subject":{"reference":"#a"},"contained":[{"id":"a","resourceType":"Patient"}],"resourceType":"Encounter"}`,
			`{"subject":{"reference":"#a"},"contained":[{"id":"a","resourceType":"Patient"}],"resourceType":"Encounter",` + tag + `}`, nil, nil},
		{"none leaves", encounter(`"contained":[{"resourceType":"Claim","id":"secret"}],"subject":{"reference":"#secret"}`), out(``), nil, nil},
		{"no type", encounter(`"contained":[{"id":"secret"}],"subject":{"reference":"#secret"}`), out(``), nil, nil},
		{"no row for contained", `{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"secret"}],"subject":{"reference":"#secret"}}`,
			`{"resourceType":"Observation",` + tag + `}`, nil, nil},
		{"meta of its own", encounter(`"contained":[{"resourceType":"Patient","id":"a","meta":{"versionId":"secret"}}]`), out(`"contained":[{"resourceType":"Patient","id":"a"}],`), nil, nil},
		{"in a contained one", encounter(`"contained":[{"resourceType":"Patient","id":"a","contained":[{"resourceType":"Patient","id":"secret"}],"managingOrganization":{"reference":"#secret"}}]`),
			out(`"contained":[{"resourceType":"Patient","id":"a"}],`), nil, nil},
		{"one refers to another", encounter(`"contained":[{"resourceType":"Observation","subject":{"reference":"#p"}},{"resourceType":"Patient","id":"p"}]`),
			out(`"contained":[{"resourceType":"Observation","subject":{"reference":"#p"}},{"resourceType":"Patient","id":"p"}],`), nil, nil},
		{"label", encounter(`"contained":[{"resourceType":"Patient","id":"secret",` + label + `},{"resourceType":"Patient","id":"a"}],"subject":{"reference":"#secret"}`),
			out(`"contained":[{"resourceType":"Patient","id":"a"}],`), restricted, nil},
		{"label, but not denied", encounter(`"contained":[{"resourceType":"Patient","id":"a",` + label + `}]`), out(`"contained":[{"resourceType":"Patient","id":"a"}],`), nil, nil},
		{"label of what holds it", encounter(label + `,"contained":[{"resourceType":"Patient","id":"a"}]`), "", restricted, transforms.ErrLabel},
		{"one id for two", encounter(`"contained":[{"resourceType":"Patient","id":"x"},{"resourceType":"Claim","id":"x"}],"subject":{"reference":"#x"}`),
			out(`"contained":[{"resourceType":"Patient","id":"x"}],`), nil, nil},
		{"no id", encounter(`"contained":[{"resourceType":"Patient","id":"sec ret"},{"resourceType":"Patient","id":7}],"subject":{"reference":"#sec ret"}`),
			out(`"contained":[{"resourceType":"Patient"},{"resourceType":"Patient"}],`), nil, nil},
		{"not resources", encounter(`"contained":[null,7,[{"resourceType":"Patient"}],"x"]`), out(``), nil, nil},
		{"not a list", encounter(`"contained":{"resourceType":"Patient","id":"secret"},"subject":{"reference":"#secret"}`), out(``), nil, nil},
		{"names a patient", encounter(`"contained":[{"resourceType":"Observation","id":"o","subject":{"reference":"Patient/p1"}}]`),
			out(`"contained":[{"resourceType":"Observation","id":"o","subject":{"reference":"Patient/` + p1 + `"}}],`), nil, nil},
		{"does not put what holds it into a compartment", encounter(`"contained":[{"resourceType":"Observation","subject":{"reference":"Patient/p1"}},{"resourceType":"Patient","id":"p1"}],"subject":{"reference":"#p1"}`),
			"", func(o *transforms.Options) { o.Patient = "p1" }, transforms.ErrCompartment},
		{"of a type that was not asked for", encounter(`"contained":[{"resourceType":"Patient","id":"a","active":true}],"subject":{"reference":"#a"}`),
			out(`"contained":[{"resourceType":"Patient","id":"a","active":true}],"subject":{"reference":"#a"},`), asking("Encounter"), nil},
		{"twice", encounter(`"contained":[],"contained":[]`), "", nil, transforms.ErrDuplicate},
		{"twice within", encounter(`"contained":[{"resourceType":"Patient","id":"a","id":"a"}]`), "", nil, transforms.ErrDuplicate},
		{"Bundle in it", encounter(`"contained":[{"resourceType":"Bundle","id":"secret","entry":[{"resource":{"resourceType":"Patient"}}]}]`), out(``), nil, nil},
	} {
		c.run(t, f)
	}
	if m := f.plan.Method("Encounter", "contained"); m != transforms.Remove {
		t.Errorf("contained leaves by %v", m)
	}
	if m := f.plan.Method("Encounter", "contained.active"); m != transforms.Remove {
		t.Errorf("contained.active leaves by %v", m)
	}
	many := encounter(`"contained":[` + strings.Repeat(`{"resourceType":"Patient"},`, 300) + `{}]`)
	if got := filter(t, f.plan, strings.NewReader(many), options()); !errors.Is(got.err, transforms.ErrLookahead) {
		t.Errorf("301 contained: %v", got.err)
	}
}

// TestParameters has Parameters, with and without rows of values.
func TestParameters(t *testing.T) {
	in := func(parameters string) string {
		return `{"resourceType":"Parameters","id":"secret","meta":{"tag":[]},"parameter":[` + parameters + `]}`
	}
	out := func(parameters string) string {
		return `{"resourceType":"Parameters","parameter":[` + parameters + `]}`
	}
	none := `{"resourceType":"Parameters"}`
	active := `{"resourceType":"Patient","active":true}`
	plain := load(t, "plain", shapes)
	for _, c := range []shape{
		{"values", in(`{"name":"a","valueString":"secret"},{"valueCode":"secret","name":"b","_name":{"id":"secret"}}`), none, nil, nil},
		{"a resource", in(`{"name":"a","resource":` + active + `,"valueString":"secret"}`), out(`{"name":"a","resource":` + patient(`"active":true`) + `}`), nil, nil},
		{"a resource without a name", in(`{"resource":` + active + `}`), out(`{"resource":` + patient(`"active":true`) + `}`), nil, nil},
		{"a resource without a row", in(`{"name":"a","resource":{"resourceType":"Claim","id":"secret"}}`), none, nil, nil},
		{"a resource without a type", in(`{"name":"a","resource":{}}`), "", nil, transforms.ErrNoType},
		{"parts", in(`{"name":"a","part":[{"name":"b","part":[{"name":"c","resource":` + active + `},{"name":"d","valueString":"secret"}]},{"name":"e"}]}`),
			out(`{"name":"a","part":[{"name":"b","part":[{"name":"c","resource":` + patient(`"active":true`) + `}]}]}`), nil, nil},
		{"name of another kind", in(`{"name":["secret"],"resource":` + active + `}`), out(`{"resource":` + patient(`"active":true`) + `}`), nil, nil},
		{"a Bundle", in(`{"name":"a","resource":{"resourceType":"Bundle","entry":[{"resource":` + active + `},{"resource":` + in(`{"name":"secret"}`) + `}]}}`),
			out(`{"name":"a","resource":{"resourceType":"Bundle","entry":[{"resource":` + patient(`"active":true`) + `}]}}`), nil, nil},
		{"Parameters", in(`{"name":"a","resource":` + in(`{"name":"a","resource":`+active+`}`) + `}`), none, nil, nil},
		{"an entry", `{"resourceType":"Bundle","entry":[{"resource":` + in(`{"name":"a","resource":`+active+`}`) + `}]}`,
			`{"resourceType":"Bundle","entry":[{"resource":` + out(`{"name":"a","resource":`+patient(`"active":true`)+`}`) + `}]}`, nil, nil},
		{"compartment", in(`{"name":"a","resource":{"resourceType":"Patient","id":"p1"}},{"name":"b","resource":{"resourceType":"Patient","id":"secret","active":true}}`),
			out(`{"name":"a","resource":` + patient(``) + `}`), func(o *transforms.Options) { o.Patient = "p1" }, nil},
		{"label", `{"resourceType":"Parameters","parameter":[{"name":"a","resource":` + active + `}],"meta":{"security":[{"system":"s","code":"R"}]}}`, "", restricted, transforms.ErrLabel},
		{"label of an entry", `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Parameters","parameter":[{"name":"a","resource":` + active + `}],"meta":{"security":[{"system":"s","code":"R"}]}}}]}`,
			`{"resourceType":"Bundle"}`, restricted, nil},
		{"asked for by id", in(``), none, func(o *transforms.Options) { o.Root, o.RootID = "Parameters", "secret" }, nil},
		{"id of a resource in it", `{"resourceType":"Parameters","parameter":[{"name":"a","resource":{"resourceType":"Patient","id":"p1"}}]}`, "",
			func(o *transforms.Options) { o.Root, o.RootID = "Parameters", "p1" }, transforms.ErrUnexpectedRoot},
	} {
		c.run(t, plain)
	}
	valued := load(t, "valued", `{"resources": {"Parameters": {"parameter.valueCode": "keep", "parameter.valueDate": "year", "parameter.valueReference": "reference"}}}`)
	for _, c := range []shape{
		{"values with rows", in(`{"name":"a","valueCode":"x"},{"name":"b","valueString":"secret"},{"name":"c","part":[{"name":"d","valueDate":"1974-12-25"},{"name":"e","valueReference":{"reference":"Patient/p1","display":"secret"}}]}`),
			out(`{"name":"a","valueCode":"x"},{"name":"c","part":[{"name":"d","valueDate":"1974"},{"name":"e","valueReference":{"reference":"Patient/T50617469656e74-7031T"}}]}`), nil, nil},
		{"a resource named like the row", in(`{"name":"a","resource":{"resourceType":"Patient","active":true}}`), none, nil, nil},
	} {
		c.run(t, valued)
	}
}

func TestAddress(t *testing.T) {
	o := options()
	for _, c := range []struct{ in, want string }{
		{"https://ehr.example.org/fhir/Patient/p1", "https://gateway.example.net/fhir/Patient/T50617469656e74-7031T"},
		{"https://ehr.example.org/fhir/Patient/p1/_history/3", "https://gateway.example.net/fhir/Patient/T50617469656e74-7031T/_history/3"},
		{"Patient/p1/_history/3", "Patient/T50617469656e74-7031T/_history/3"},
		{"https://elsewhere.example.net/fhir/Patient/p1", ""},
		{"https://ehr.example.org/fhir/Patient/p1?x=y", ""},
		{"https://ehr.example.org/fhir/Patient?x=y", ""},
		{"https://ehr.example.org/fhir/Patient/p1/_history", ""},
		{"https://ehr.example.org/fhirPatient/p1", ""},
		{"", ""},
	} {
		got, ok := o.Address([]byte("at "), c.in)
		if string(got) != "at "+c.want || ok != (c.want != "") {
			t.Errorf("%s: got %q, %v", c.in, got, ok)
		}
	}
	o.Tokens = refusing{value: "p1"}
	if got, ok := o.Address([]byte("at "), "Patient/p1"); ok || string(got) != "at " {
		t.Errorf("token refused: got %q", got)
	}
	o.Tokens = nil
	if got, ok := o.Address(nil, "Patient/p1"); ok || got != nil {
		t.Errorf("no tokenizer: got %q", got)
	}
}
