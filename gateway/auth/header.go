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
		if c := body[i]; !base64url(c) && strings.IndexByte(".~+/", c) < 0 {
			return false
		}
	}
	return body != ""
}

func base64url(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
