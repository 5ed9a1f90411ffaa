package auth

import "strings"

// credentials is the token of the one Authorization header, and its scheme (RFC 6750,
// section 2.1; RFC 9449, section 7.1). Another scheme is no token at all: RFC 6750 answers
// it like a request without credentials.
func credentials(header []string, limit int) (scheme, token string, _ *Error) {
	switch len(header) {
	case 0:
		return "", "", refuse(CodeMissing)
	case 1:
	default:
		return "", "", refuse(CodeHeader)
	}
	scheme, token, _ = strings.Cut(header[0], " ")
	switch {
	case strings.EqualFold(scheme, SchemeBearer):
		scheme = SchemeBearer
	case strings.EqualFold(scheme, SchemeDPoP):
		scheme = SchemeDPoP
	default:
		return "", "", refuse(CodeMissing)
	}
	token = strings.TrimLeft(token, " ")
	switch {
	case len(token) > limit:
		return "", "", &Error{Code: CodeTooLong, Scheme: scheme}
	case !token68(token):
		return "", "", &Error{Code: CodeHeader, Scheme: scheme}
	}
	return scheme, token, nil
}

// token68 is RFC 9110, section 11.2: what a bearer token may consist of. It has no
// comma and no space, so two tokens in one header are not taken for one.
func token68(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		if !ofToken68[body[i]] {
			return false
		}
	}
	return body != ""
}

// The alphabets are tables: a processor guesses a branch on each character of a token wrong every other time, which took
// longer than to hash the token.
var (
	ofBase64url = characters(base64urlAlphabet)
	ofToken68   = characters(base64urlAlphabet + ".~+/")
)

const base64urlAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" // RFC 4648, section 5

func characters(of string) (all [256]bool) {
	for _, c := range []byte(of) {
		all[c] = true
	}
	return all
}
