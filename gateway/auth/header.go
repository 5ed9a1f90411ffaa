package auth

import "strings"

// bearer is the token of the one Authorization header (RFC 6750, section 2.1). Another
// scheme is no token at all: RFC 6750 answers it like a request without credentials.
func bearer(header []string, limit int) (string, *Error) {
	switch len(header) {
	case 0:
		return "", refuse(CodeMissing)
	case 1:
	default:
		return "", refuse(CodeHeader)
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", refuse(CodeMissing)
	}
	token = strings.TrimLeft(token, " ")
	switch {
	case len(token) > limit:
		return "", refuse(CodeTooLong)
	case !token68(token):
		return "", refuse(CodeHeader)
	}
	return token, nil
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
