package transforms_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/halfdoor/halfdoor/transforms"
	"github.com/halfdoor/halfdoor/transforms/reference"
)

// seeds are the documents that fuzzing starts from. Each of the tests' own is well formed.
func seeds(t testing.TB) (docs []document) {
	t.Helper()
	docs = own(t)
	for _, s := range []string{
		`{"resourceType":"Patient","name":[{"_given":[{"extension":[{}]},{"id":"a"}],"given":["a","b"],"text":"x"}]}`,
		`{"resourceType":"Observation","code":{"coding":[{"display":"x","code":"y"}]},"subject":{"reference":"Patient/1"}}`,
		`{"id":"e","subject":{"reference":"https://ehr.example.org/fhir/Patient/p1"},"resourceType":"Encounter"}`,
		`{"entry":[{"resource":{"id":"x","resourceType":"Patient"},"fullUrl":"https://ehr2.example.org/r4/Patient/x"}],"resourceType":"Bundle"}`,
		`{"resourceType":"Patient","meta":{"tag":[{"code":"SUBSETTED"}],"security":[{"system":"urn:s","code":"R"}]}}`,
		`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"x"}]}`,
	} {
		docs = append(docs, document{s, []byte(s)})
	}
	return docs
}

// TestSeeds holds the seeds to being of use: they are well formed, and some of each leave under some dataset.
func TestSeeds(t *testing.T) {
	docs := seeds(t)
	if len(docs) < 20 {
		t.Errorf("only %d seeds", len(docs))
	}
	for _, doc := range docs {
		leaves := false
		for _, f := range fixtures(t) {
			got := filter(t, f.plan, bytes.NewReader(doc.data), options())
			leaves = leaves || got.err == nil && len(got.body) > 0
		}
		if _, err := reference.Parse(doc.data); err != nil || !leaves {
			t.Errorf("%s: %v, leaves %v", doc.name, err, leaves)
		}
	}
}

// FuzzFilter compares the filter with the oracle, on any bytes, for each dataset, whole and byte by byte.
func FuzzFilter(f *testing.F) {
	all := fixtures(f)
	for i, doc := range seeds(f) {
		for way := range 3 {
			f.Add(doc.data, uint8(i+way*8))
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte, way uint8) {
		if len(doc) > 64<<10 {
			return
		}
		fix := all[int(way)%len(all)]
		o := options()
		o.Window = []int{1, 64, 0}[way>>6%3]
		if way&8 != 0 {
			o.Link, o.Total = links, true
		}
		if way&16 != 0 {
			o.Patient = "p1"
		}
		if way&32 != 0 {
			o.DenyLabels = []transforms.Label{{System: "urn:s", Code: "R"}}
		}
		want := reference.Filter(fix.ds, compartment, o, doc)
		whole := filter(t, fix.plan, bytes.NewReader(doc), o)
		agree(t, fix.name+", at once", doc, want, whole, o)
		bytewise := filter(t, fix.plan, iotest.OneByteReader(bytes.NewReader(doc)), o)
		agree(t, fix.name+", byte by byte", doc, want, bytewise, o)
		if whole.err == nil && !bytes.Equal(whole.body, bytewise.body) {
			t.Errorf("at once %s\nbyte by byte %s", whole.body, bytewise.body)
		}
		for _, at := range token.FindAllSubmatchIndex(whole.body, -1) {
			kind, value := openToken(token.FindSubmatch(whole.body[at[0]:at[1]]))
			if kind == "Patient" && !strings.Contains(string(doc), string(whole.body[at[0]:at[1]])) {
				named(t, fix.name, whole, at[0], reference.Subject{Type: kind, ID: value})
			}
		}
	})
}

// writeSeeds are an EHR's version, and what a client sends: a resource, or a patch of it.
func writeSeeds() [][2]string {
	const is = `{"resourceType":"Appointment","id":"a1","status":"booked","priority":5,"comment":"x","_comment":{"id":"c"},` +
		`"reasonCode":[{"coding":[{"code":"a","display":"A"}],"extension":[{"url":"u"}]}],"slot":[{"reference":"Slot/s1","display":"S"}],` +
		`"identifier":[{"system":"s","value":"v"}],"participant":[{"actor":{"reference":"Patient/p1"},"status":"accepted","type":[]}],"minutesDuration":1.50}`
	return [][2]string{
		{is, `{"resourceType":"Appointment","identifier":[{"system":"s"}],"participant":[{"status":"declined"}],"reasonCode":[{"coding":[{"code":"a"}]},{"text":"b"}]}`},
		{is, `{"resourceType":"Appointment","status":"cancelled","identifier":[{"system":"s"}],"slot":[{"reference":"Slot/` + sealed("Slot", "s2") + `"}],"participant":[{"actor":{"reference":"` + ap2 + `"}}],"reasonCode":[{"coding":[{"code":"a"}]}],"comment":"x","_comment":{"id":"c"}}`},
		{is, `[{"op":"replace","path":"/status","value":"cancelled"},{"op":"move","from":"/comment","path":"/minutesDuration"},{"op":"remove","path":"/_comment"}]`},
		{is, `[{"op":"test","path":"/participant/0/status","value":"accepted"},{"op":"copy","from":"/participant/0/status","path":"/status"}]`},
		{`{"resourceType":"Appointment"}`, `{"resourceType":"Appointment","identifier":[{"value":"` + sealed("Appointment.identifier.value", "v2") + `"}],"cancelationReason":{"text":"\u00e9"}}`},
	}
}

// TestWriteSeeds holds them to being of use: each is merged.
func TestWriteSeeds(t *testing.T) {
	f := load(t, "desk", desk)
	for _, s := range writeSeeds() {
		do := f.plan.Merge
		if s[1][0] == '[' {
			do = f.plan.Patch
		}
		if _, err := do("Appointment", []byte(s[0]), []byte(s[1]), writing()); err != nil {
			t.Errorf("%s: %v", s[1], err)
		}
	}
}

// FuzzWrite lays any bytes over any, and judges what comes of it; what is sent back as it was seen
// changes nothing.
func FuzzWrite(f *testing.F) {
	fix := everything(f, load(f, "desk", desk))
	for _, s := range writeSeeds() {
		f.Add([]byte(s[0]), []byte(s[1]))
	}
	f.Fuzz(func(t *testing.T, is, sent []byte) {
		if len(is)+len(sent) > 32<<10 {
			return
		}
		if out, err := fix.plan.Merge("Appointment", is, sent, writing()); err == nil {
			judge(t, fix, "Appointment", is, out, sent)
		} else if out != nil {
			t.Errorf("%v, and %s", err, out)
		}
		if out, err := fix.plan.Create("Appointment", sent, writing()); err == nil {
			judge(t, fix, "Appointment", []byte(`{"resourceType":"Appointment"}`), out, sent)
		}
		view := filter(t, fix.plan, bytes.NewReader(is), options())
		if v, _ := reference.Parse(is); view.err != nil || object(v)["resourceType"] != "Appointment" {
			return
		}
		if out, err := fix.plan.Patch("Appointment", is, sent, writing()); err == nil {
			seen := filter(t, fix.plan, bytes.NewReader(out), options())
			judge(t, fix, "Appointment", is, out, seen.body)
		}
		if out, err := fix.plan.Merge("Appointment", is, view.body, writing()); err != nil || !bytes.Equal(unescaped(t, out), unescaped(t, is)) {
			t.Errorf("sent back: %v\nwas %s\nis  %s", err, is, out)
		}
	})
}
