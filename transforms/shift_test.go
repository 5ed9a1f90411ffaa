package transforms_test

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/halfdoor/halfdoor/transforms"
)

// days is a Shifter by which everyone's dates move alike.
type days int

func (d days) Shift(string) (int, error) { return int(d), nil }

func TestShiftDates(t *testing.T) {
	plan := load(t, "x", `{"resources": {"Patient": {"birthDate": "shift"}}}`).plan
	for _, c := range []struct {
		by       days
		in, want string // nothing: it does not leave
	}{
		{1, "2024-02-28", "2024-02-29"},
		{1, "2023-02-28", "2023-03-01"},
		{-1, "2024-03-01", "2024-02-29"},
		{-1, "1900-03-01", "1900-02-28"},
		{366, "2023-12-31", "2024-12-31"},
		{-180, "2020-06-15", "2019-12-18"},
		{0, "2020-06-15", "2020-06-15"},
		{40, "2020-12", "2021-01"},
		{-10, "2020-12", "2020-12"},
		{180, "2020", "2020"},
		{200, "2020", "2021"},
		{1, "2020-02-29T23:59:60.123456789+14:00", "2020-03-01T23:59:60.123456789+14:00"},
		{-1, "2020-03-01T00:00:00Z", "2020-02-29T00:00:00Z"},
		{1, "9999-12-30", "9999-12-31"},
		{1, "9999-12-31", ""},
		{-1, "0001-01-01", ""},
		{1, "0001-01-01", "0001-01-02"},
		{-1 << 62, "2020-01-01", ""},
		{1, "2023-02-29", ""},
		{1, "2020-13", ""},
		{1, "0000", ""},
		{1, "2020-1-1", ""},
		{1, "20200101", ""},
		{1, "2020-01-01T", ""},
		{1, "2020-01-01T10:00", ""},
		{1, "2020-01-01T10:00:00", ""}, // no zone
		{1, "2020-01-01T24:00:00Z", ""},
		{1, "2020-01-01T10:00:00.Z", ""},
		{1, "2020-01-01T10:00:00.0123456789Z", ""},
		{1, "2020-01-01T10:00:00+14:30", ""},
		{1, "2020-01-01T10:00:00Z for John Doe", ""},
		{1, "about 2020", ""},
	} {
		o := options()
		o.Shift = c.by
		doc := `{"resourceType":"Patient","birthDate":"` + c.in + `","id":"p1"}`
		want := `{"resourceType":"Patient","birthDate":"` + c.want + `",` + tag + `}`
		if c.want == "" {
			want = `{"resourceType":"Patient",` + tag + `}`
		}
		if got := filter(t, plan, strings.NewReader(doc), o); string(got.body) != want {
			t.Errorf("%s by %d: %s (%v), want %s", c.in, c.by, got.body, got.err, want)
		}
	}
}

// TestShiftWhose has resources of one patient, of several and of none, told before and behind the dates.
func TestShiftWhose(t *testing.T) {
	plan := load(t, "x", `{"resources": {
		"Patient": {"birthDate": "shift", "contact.period.start": "shift", "contact.name": "keep", "meta.lastUpdated": "shift"},
		"Observation": {"effectivePeriod.start": "shift", "effectivePeriod.end": "month", "contained": "keep"},
		"Practitioner": {"birthDate": "shift"}}}`).plan
	const day, moved = `"2024-03-01"`, `"2024-01-24"` // p1's, by -37
	for _, c := range []struct{ name, in, want string }{
		{"its own id behind", `{"birthDate":` + day + `,"resourceType":"Patient","id":"p1"}`, `{"birthDate":` + moved + `,"resourceType":"Patient",` + tag + `}`},
		{"no id", `{"birthDate":` + day + `,"resourceType":"Patient"}`, `{"resourceType":"Patient",` + tag + `}`},
		{"what ends empty", `{"resourceType":"Patient","contact":[{"period":{"start":` + day + `}},{"name":{"text":"x"},"period":{"start":` + day + `}}]}`,
			`{"resourceType":"Patient","contact":[{"name":{"text":"x"}}],` + tag + `}`},
		{"all of it", `{"resourceType":"Patient","contact":[{"period":{"start":` + day + `}}]}`, `{"resourceType":"Patient",` + tag + `}`},
		{"in meta", `{"meta":{"lastUpdated":"2024-03-01T10:00:00Z"},"resourceType":"Patient","id":"p1"}`,
			`{"meta":{"lastUpdated":"2024-01-24T10:00:00Z",` + tag[len(`"meta":{`):] + `,"resourceType":"Patient"}`},
		{"in meta, of nobody", `{"meta":{"lastUpdated":"2024-03-01T10:00:00Z"},"resourceType":"Patient"}`, `{` + tag + `,"resourceType":"Patient"}`},
		{"a subject behind", `{"resourceType":"Observation","effectivePeriod":{"start":` + day + `,"end":` + day + `},"subject":{"reference":"Patient/p1"}}`,
			`{"resourceType":"Observation","effectivePeriod":{"start":` + moved + `,"end":"2024-03"},` + tag + `}`},
		{"twice the same", `{"resourceType":"Observation","subject":{"reference":"Patient/p1"},"effectivePeriod":{"start":` + day + `},"performer":[{"reference":"https://ehr.example.org/fhir/Patient/p1"}]}`,
			`{"resourceType":"Observation","effectivePeriod":{"start":` + moved + `},` + tag + `}`},
		{"two", `{"resourceType":"Observation","subject":{"reference":"Patient/p1"},"effectivePeriod":{"start":` + day + `},"performer":[{"reference":"Patient/p2"}]}`,
			`{"resourceType":"Observation",` + tag + `}`},
		{"a group", `{"resourceType":"Observation","subject":{"reference":"Group/p1"},"effectivePeriod":{"start":` + day + `}}`, `{"resourceType":"Observation",` + tag + `}`},
		{"contained", `{"resourceType":"Observation","subject":{"reference":"Patient/p1"},"contained":[{"resourceType":"Patient","id":"p2","birthDate":` + day + `}]}`,
			`{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p2","birthDate":` + moved + `}],` + tag + `}`},
		{"in no compartment", `{"resourceType":"Practitioner","birthDate":` + day + `,"id":"p1"}`, `{"resourceType":"Practitioner",` + tag + `}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, src := range readers([]byte(c.in), 0) {
				if got := filter(t, plan, src, options()); string(got.body) != c.want {
					t.Errorf("%s:\n got %s (%v)\nwant %s", src.name, got.body, got.err, c.want)
				}
			}
		})
	}
}

func TestMissingMakers(t *testing.T) {
	plan := load(t, "x", `{"resources": {"Patient": {"birthDate": "shift", "gender": "hash"}}}`).plan
	for _, member := range []string{`"birthDate":"1974-12-25"`, `"gender":"male"`} {
		o := options()
		o.Shift, o.Hash = nil, nil
		got := filter(t, plan, iotest.OneByteReader(strings.NewReader(`{"resourceType":"Patient",`+member+`}`)), o)
		if !errors.Is(got.err, transforms.ErrToken) || len(got.body) > 0 {
			t.Errorf("%s: %v, %q", member, got.err, got.body)
		}
	}
}

// TestLists has lists beside those of their extensions, either way round.
func TestLists(t *testing.T) {
	plan := load(t, "x", `{"resources": {"Patient": {"name": "keep"}}}`).plan
	const kept, lost = `{"id":"x"}`, `{"extension":[{"url":"x"}]}`
	for _, c := range []struct{ given, under, want, wantUnder string }{
		{`["a",null]`, `[null,` + kept + `]`, `["a",null]`, `[null,` + kept + `]`},
		{`["a",null]`, `[null,` + lost + `]`, `["a"]`, ``},
		{`[null,null,"a"]`, `[` + kept + `,` + lost + `,null]`, `[null,"a"]`, `[` + kept + `,null]`},
		{`["a",null,null,"b",null]`, `[null,` + lost + `,null,` + kept + `,` + lost + `]`, `["a","b"]`, `[null,` + kept + `]`},
		{`[null]`, `[` + kept + `]`, ``, `[` + kept + `]`},
		{`["a"]`, `[` + lost + `,` + kept + `]`, `["a",null]`, `[null,` + kept + `]`},
		{`["a","b"]`, `[` + kept + `]`, `["a","b"]`, `[` + kept + `,null]`},
		{`[null,null]`, `[` + lost + `,null]`, ``, ``},
		{`"a"`, `[null,` + kept + `]`, `"a"`, `[` + kept + `]`},
		{`[["a",null],[null]]`, `null`, `[["a"]]`, ``},
	} {
		a, under := `"given":`+c.given, `"_\u0067iven":`+c.under
		wants := []string{}
		if c.want != "" {
			wants = append(wants, `"given":`+c.want)
		}
		if c.wantUnder != "" {
			wants = append(wants, `"_\u0067iven":`+c.wantUnder)
		}
		for range 2 {
			want := `{"resourceType":"Patient","name":[{` + strings.Join(wants, ",") + `}],` + tag + `}`
			if len(wants) == 0 {
				want = `{"resourceType":"Patient",` + tag + `}`
			}
			got := filter(t, plan, strings.NewReader(`{"resourceType":"Patient","name":[{`+a+`,`+under+`}]}`), options())
			if string(got.body) != want {
				t.Errorf("%s, %s:\n got %s (%v)\nwant %s", a, under, got.body, got.err, want)
			}
			a, under = under, a
			if len(wants) == 2 {
				wants[0], wants[1] = wants[1], wants[0]
			}
		}
	}
}
