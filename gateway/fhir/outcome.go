package fhir

import (
	"cmp"
	"encoding/json"
	"strings"
	"unicode"
)

// ErrorCodes is the code system of Issue.Detail: the gateway's stable error
// codes.
const ErrorCodes = "urn:halfdoor:error-code"

// Outcome is the content of an OperationOutcome. Empty fields are left out.
type Outcome struct {
	Issues []Issue // an outcome without one gets a bare error, as FHIR demands one

	// Correlation and Retry are written to the first issue's diagnostics, as
	// "correlation-id=…; retry=…".
	Correlation string
	Retry       string // "no", "later", or a number of seconds
}

// Issue is one OperationOutcome.issue.
type Issue struct {
	Severity   string   // fatal, error, warning or information; default error
	Code       string   // FHIR's issue-type code; default processing
	Detail     string   // the gateway's stable code: details.coding, in ErrorCodes
	Text       string   // a sentence for a person: details.text
	Expression []string // where in the request, such as "http.accept"; never a value
}

type (
	outcome struct {
		ResourceType string  `json:"resourceType"`
		Issue        []issue `json:"issue"`
	}
	issue struct {
		Severity    string   `json:"severity"`
		Code        string   `json:"code"`
		Details     *details `json:"details,omitempty"`
		Diagnostics string   `json:"diagnostics,omitempty"`
		Expression  []string `json:"expression,omitempty"`
	}
	details struct {
		Coding []coding `json:"coding,omitempty"`
		Text   string   `json:"text,omitempty"`
	}
	coding struct {
		System string `json:"system"`
		Code   string `json:"code"`
	}
)

// AppendOutcome appends o to dst as a compact JSON OperationOutcome. It holds
// for any text: what is not UTF-8 becomes U+FFFD, control characters become
// spaces, and characters that HTML gives a meaning are escaped.
func AppendOutcome(dst []byte, o Outcome) []byte {
	if len(o.Issues) == 0 {
		o.Issues = []Issue{{}}
	}
	all := outcome{ResourceType: "OperationOutcome"}
	for _, i := range o.Issues {
		one := issue{Severity: cmp.Or(clean(i.Severity), "error"), Code: cmp.Or(clean(i.Code), "processing")}
		d := details{Text: clean(i.Text)}
		if code := clean(i.Detail); code != "" {
			d.Coding = []coding{{ErrorCodes, code}}
		}
		if d.Coding != nil || d.Text != "" {
			one.Details = &d
		}
		for _, e := range i.Expression {
			if e = clean(e); e != "" {
				one.Expression = append(one.Expression, e)
			}
		}
		all.Issue = append(all.Issue, one)
	}
	var hints []string
	if id := clean(o.Correlation); id != "" {
		hints = append(hints, "correlation-id="+id)
	}
	if retry := clean(o.Retry); retry != "" {
		hints = append(hints, "retry="+retry)
	}
	all.Issue[0].Diagnostics = strings.Join(hints, "; ")
	b, err := json.Marshal(all)
	if err != nil {
		panic(err) // strings alone always marshal
	}
	return append(dst, b...)
}

// clean makes s a string that FHIR allows: no control characters, no space at
// its ends.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s))
}
