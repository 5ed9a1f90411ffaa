package fhir_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

func TestAppendOutcome(t *testing.T) {
	for _, test := range []struct {
		name string
		in   fhir.Outcome
		want string
	}{
		{"nothing", fhir.Outcome{}, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"processing"}]}`},
		{
			"everything", fhir.Outcome{
				Issues: []fhir.Issue{
					{Severity: "error", Code: "not-supported", Detail: "parameter-not-supported", Text: "Say it.", Expression: []string{"http.name", ""}},
					{Severity: "warning", Code: "informational", Text: "x"},
				}, Correlation: "c1", Retry: "no",
			},
			`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-supported","details":{"coding":[{"system":"urn:halfdoor:error-code","code":"parameter-not-supported"}],"text":"Say it."},"diagnostics":"correlation-id=c1; retry=no","expression":["http.name"]},{"severity":"warning","code":"informational","details":{"text":"x"}}]}`,
		},
		{
			"hostile", fhir.Outcome{Issues: []fhir.Issue{{Text: "\"\\\x00\r\n</script>\u2028\xff"}}, Correlation: " \t"},
			`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"processing","details":{"text":"\"\\   \u003c/script\u003e\u2028�"}}]}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := string(fhir.AppendOutcome([]byte("x"), test.in)); got != "x"+test.want {
				t.Errorf("got  %s\nwant x%s", got, test.want)
			}
		})
	}
}

func FuzzAppendOutcome(f *testing.F) {
	for _, s := range []string{"", "plain", "\x00\x1f\x7f\u0085", "\xff\xc0\x80", `"}]}`, "<&>", "\u2028"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		out := fhir.AppendOutcome(nil, fhir.Outcome{
			Issues:      []fhir.Issue{{Severity: a, Code: b, Detail: a, Text: b, Expression: []string{a, b}}},
			Correlation: a, Retry: b,
		})
		var back struct {
			ResourceType string
			Issue        []struct {
				Severity, Code, Diagnostics string
				Details                     struct{ Text string }
			}
		}
		if err := json.Unmarshal(out, &back); err != nil || !utf8.Valid(out) {
			t.Fatalf("%q: %v", out, err)
		}
		if len(back.Issue) != 1 || back.Issue[0].Severity == "" || back.Issue[0].Code == "" || back.ResourceType != "OperationOutcome" {
			t.Fatalf("%s", out)
		}
	})
}
