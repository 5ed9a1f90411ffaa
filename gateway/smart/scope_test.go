package smart_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/smart"
)

func TestParseScopes(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"v2", "patient/Observation.rs", "patient/Observation.rs"},
		{"v2 all letters", "user/Patient.cruds", "user/Patient.cruds"},
		{"v2 one letter", "system/Patient.s", "system/Patient.s"},
		{"v2 wildcard", "user/*.rs", "user/*.rs"},
		{"v1 read", "patient/Patient.read", "patient/Patient.rs"},
		{"v1 write", "patient/Patient.write", "patient/Patient.cud"},
		{"v1 all", "user/*.*", "user/*.cruds"},
		{"v1 and v2", "patient/Patient.read user/Slot.s", "patient/Patient.rs user/Slot.s"},
		{"several spaces", "  user/Slot.s   user/Slot.r ", "user/Slot.s user/Slot.r"},
		{"order kept, repeats kept", "user/Slot.s user/Patient.r user/Slot.s", "user/Slot.s user/Patient.r user/Slot.s"},
		{"others are no data scopes", "openid fhirUser launch launch/patient online_access offline_access profile user", ""},
		{"granular", "patient/Observation.rs?category=laboratory", "patient/Observation.rs?category=laboratory"},
		{"granular with a system", "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory",
			"patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category%7Claboratory"},
		{"granular, several values", "user/Observation.s?code=1,2", "user/Observation.s?code=1,2"},
		{"granular, several parameters", "user/Observation.s?code=1&status=final", "user/Observation.s?code=1&status=final"},
		{"granular, percent-encoded", "user/Observation.s?category=a%20b", "user/Observation.s?category=a%20b"},
		{"granular wildcard", "user/*.rs?_security=N", "user/*.rs?_security=N"},

		{"malformed ones take nothing along", "patient/Patient.sr user/Slot.s patient/", "user/Slot.s"},
		{"out of order", "patient/Patient.sr", ""},
		{"repeated letter", "patient/Patient.rr", ""},
		{"no letters", "patient/Patient.", ""},
		{"no suffix", "patient/Patient", ""},
		{"unknown letter", "patient/Patient.rx", ""},
		{"upper case letter", "patient/Patient.R", ""},
		{"v1 mixed with v2", "patient/Patient.reads", ""},
		{"two suffixes", "patient/Patient.r.s", ""},
		{"unknown type", "patient/Helpdesk.rs", ""},
		{"type in lower case", "patient/patient.rs", ""},
		{"wildcard in a type", "patient/Pat*.rs", ""},
		{"empty type", "patient/.rs", ""},
		{"unknown level", "practitioner/Patient.rs", ""},
		{"level in upper case", "Patient/Patient.rs", ""},
		{"empty level", "/Patient.rs", ""},
		{"tab does not separate", "patient/Patient.rs\tuser/Slot.s", ""},
		{"line break does not separate", "patient/Patient.rs\n", ""},
		{"no-break space", "patient/Patient.rs\u00a0user/Slot.s", ""},
		{"quote", `patient/Patient.rs"`, ""},
		{"quote in a value", `patient/Observation.rs?category=a"`, ""},
		{"backslash in a value", `patient/Observation.rs?category=a\|b`, ""},
		{"v1 has no parameters", "patient/Observation.read?category=a", ""},
		{"empty query", "patient/Observation.rs?", ""},
		{"no value", "patient/Observation.rs?category", ""},
		{"empty value", "patient/Observation.rs?category=", ""},
		{"empty alternative", "patient/Observation.rs?code=a,", ""},
		{"empty parameter", "patient/Observation.rs?category=a&", ""},
		{"parameter of another type", "patient/Observation.rs?birthdate=1970", ""},
		{"unknown parameter", "patient/Observation.rs?favourite=a", ""},
		{"one bad parameter of two", "patient/Observation.rs?category=a&favourite=a", ""},
		{"result parameter", "patient/Observation.rs?_count=1", ""},
		{"sort", "patient/Observation.rs?_sort=date", ""},
		{"format", "patient/Observation.rs?_format=json", ""},
		{"page", "patient/Observation.rs?_page=a", ""},
		{"include", "patient/Observation.rs?_include=Observation:subject", ""},
		{"chain", "patient/Observation.rs?subject.name=a", ""},
		{"chain to one type", "patient/Observation.rs?subject.birthdate=1970", ""},
		{"reverse chain", "patient/Patient.rs?_has:Observation:patient:code=a", ""},
		{"shape of the answer", "patient/Patient.rs?_elements=id", ""},
		{"modifier", "patient/Observation.rs?code:not=a", ""},
		{"modifier of a type", "patient/Observation.rs?subject:Patient=7", ""},
		{"modifier missing", "patient/Observation.rs?code:missing=false", ""},
		{"value of the wrong kind", "patient/Observation.rs?date=tomorrow", ""},
		{"bad percent", "patient/Observation.rs?category=%zz", ""},
		{"plus is ambiguous", "patient/Observation.rs?category=a+b", ""},
		{"control character", "patient/Observation.rs?category=%00", ""},
		{"type's own parameter on a wildcard", "user/*.rs?identifier=a", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, s := range smart.ParseScopes(c.in) {
				got = append(got, s.String())
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("ParseScopes(%q) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}

// reference reads a scope in the slow, obvious way. It may be more generous about
// parameters than the real one, never less about all else.
var reference = regexp.MustCompile(`^(patient|user|system)/(\*|[A-Za-z]+)\.(?:(read|write|\*)|(c?r?u?d?s?))((?:\?[!-~]+=[!-~]+)?)$`)

// granted is what a list of scopes grants by the reference: "user/Patient.r" and so on.
// A scope that has parameters is told apart by them.
func granted(list string) []string {
	var out []string
	for _, token := range strings.Split(list, " ") {
		m := reference.FindStringSubmatch(token)
		if m == nil || m[2] != "*" && !fhir.Known(m[2]) || m[3] != "" && m[5] != "" {
			continue
		}
		letters := map[string]string{"read": "rs", "write": "cud", "*": "cruds"}[m[3]] + m[4]
		for _, l := range letters {
			out = append(out, m[1]+"/"+m[2]+"."+string(l)+" "+m[5])
		}
	}
	return out
}

var scopeSeeds = []string{
	"patient/Observation.rs user/Patient.read system/*.cruds",
	"patient/*.* openid fhirUser launch/patient offline_access",
	"patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory",
	"user/Observation.s?code=1,2&status=final user/*.rs?_security=N",
	"patient/Patient.sr patient/Patient.rr patient/Patient. patient/Pat*.rs",
	"patient/Observation.rs?category=a%2Cb user/Slot.s?_count=1",
	"patient/Patient.rs\tuser/Slot.s \x00 \u00e9",
}

func FuzzParseScopes(f *testing.F) {
	for _, s := range scopeSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		scopes := smart.ParseScopes(list)
		may := granted(list)
		for _, s := range scopes {
			again, ok := smart.ParseScope(s.String())
			if !ok || again.String() != s.String() {
				t.Fatalf("%q does not read back: %q, %v", s, again, ok)
			}
			for letter, has := range map[string]bool{"c": s.Create, "r": s.Read, "u": s.Update, "d": s.Delete, "s": s.Search} {
				if !has {
					continue
				}
				right := s.Level.String() + "/" + s.Type + "." + letter + " "
				if !slices.ContainsFunc(may, func(m string) bool {
					return strings.HasPrefix(m, right) && (m == right) == (len(s.Params) == 0)
				}) {
					t.Fatalf("%q grants %q, and by the reference %q", list, right, may)
				}
			}
		}
	})
}

// The fuzz target's seeds have to reach the parser's inside to be worth anything.
func TestScopeSeeds(t *testing.T) {
	total := 0
	for _, s := range scopeSeeds {
		total += len(smart.ParseScopes(s))
	}
	if total < 8 {
		t.Errorf("seeds hold %d scopes", total)
	}
}
