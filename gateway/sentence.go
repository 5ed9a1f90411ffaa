package gateway

import "strings"

// Sentence is what a support agent can read out about an error code, with (…) where the refusal itself names
// something; "" for a code that is a policy's own.
func Sentence(code string) string {
	return strings.ReplaceAll(answers[code].text, "{}", "(…)")
}
