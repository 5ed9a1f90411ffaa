package auth

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth bounds the nesting of a token's JSON.
const maxDepth = 32

// token is a JWT that is well formed. Nothing of it is verified.
type token struct {
	raw     string
	header  joseHeader
	payload []byte
	claims  claims
}

// joseHeader is RFC 7515, section 4.1. Values that are only looked at for their presence
// stay unread: null is presence too.
type joseHeader struct {
	Alg  string         `json:"alg"`
	Typ  string         `json:"typ"`
	Cty  string         `json:"cty"`
	Kid  string         `json:"kid"`
	Crit jsontext.Value `json:"crit"`
	B64  jsontext.Value `json:"b64"`
	JWK  jsontext.Value `json:"jwk"`
	JKU  jsontext.Value `json:"jku"`
	X5C  jsontext.Value `json:"x5c"`
	X5U  jsontext.Value `json:"x5u"`
}

// parse reads a JWT in compact form. No error of a decoder goes on: it could quote the
// token.
func parse(raw string) (*token, *Error) {
	switch strings.Count(raw, ".") {
	case 2:
	case 4:
		return nil, refuse(CodeEncrypted)
	default:
		return nil, refuse(CodeMalformed)
	}
	head, rest, _ := strings.Cut(raw, ".")
	body, signature, _ := strings.Cut(rest, ".")
	t := &token{raw: raw}
	doc, ok := segment(head)
	if !ok || !plain(signature) {
		return nil, refuse(CodeMalformed)
	}
	if code := object(doc, &t.header, CodeMalformed); code != "" {
		return nil, refuse(code)
	}
	switch h := &t.header; {
	case h.Crit != nil, h.B64 != nil: // RFC 7797 wants b64 in crit; alone it would still change what is signed
		return nil, refuse(CodeCritical)
	case h.JWK != nil, h.JKU != nil, h.X5C != nil, h.X5U != nil:
		return nil, refuse(CodeEmbeddedKey)
	case !asymmetric(h.Alg):
		return nil, refuse(CodeAlgorithm)
	}
	if t.payload, ok = segment(body); !ok {
		return nil, refuse(CodeMalformed)
	}
	if code := object(t.payload, &t.claims, CodeClaims); code != "" {
		return nil, refuse(code)
	}
	return t, nil
}

// segment decodes base64url without padding. The encoding is held to be canonical, and
// the line breaks that Go's decoder would skip are refused, so that one token has one
// spelling.
func segment(s string) ([]byte, bool) {
	if !plain(s) {
		return nil, false
	}
	doc, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return doc, err == nil
}

func plain(s string) bool {
	for i := range len(s) {
		if !ofBase64url[s[i]] {
			return false
		}
	}
	return true
}

// object decodes a JSON object: UTF-8, no member twice at any depth, names compared to
// the letter. It returns the code of what is wrong, or "".
func object(doc []byte, into any, kind string) string {
	if jsontext.Value(doc).Kind() != '{' || deep(doc) {
		return CodeMalformed
	}
	err := json.Unmarshal(doc, into)
	var wrong *json.SemanticError
	switch {
	case err == nil:
		return ""
	case errors.Is(err, jsontext.ErrDuplicateName):
		return CodeDuplicate
	case errors.As(err, &wrong):
		return kind
	}
	return CodeMalformed
}

// deep reports whether brackets nest beyond maxDepth. On what is not JSON it may be
// wrong, and the decoder is right.
func deep(doc []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(doc); i++ {
		switch c := doc[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}', c == ']':
			depth--
		}
	}
	return false
}
