package transforms_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/transforms"
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

	for _, c := range []struct {
		name, in, want string
		ask            func(*transforms.Options)
		err            error
	}{
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
		o := options()
		if c.ask != nil {
			c.ask(&o)
		}
		o.Window = 64
		want := consult(f.ds, compartment, o, []byte(c.in))
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
