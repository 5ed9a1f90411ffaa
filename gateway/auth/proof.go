package auth

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json/jsontext"
)

// This file is RFC 9449, section 4.3: what is checked of a DPoP proof, in its order and
// with its numbers. A proof is looked at once the token is known to be good, so that only
// callers who have one can make the gateway remember proofs.

const (
	maxProof   = 8 << 10
	maxProofID = 256 // characters of a jti
	early      = 30 * time.Second
)

// ProofAlgorithms are those that a DPoP proof may be signed with.
func ProofAlgorithms() []string { return algorithms() }

type proofHeader struct {
	Typ  string         `json:"typ"`
	Alg  string         `json:"alg"`
	JWK  jsontext.Value `json:"jwk"`
	Crit jsontext.Value `json:"crit"`
	B64  jsontext.Value `json:"b64"`
	JKU  jsontext.Value `json:"jku"`
	X5U  jsontext.Value `json:"x5u"`
}

// proofClaims is RFC 9449, section 4.2.
type proofClaims struct {
	ID       string   `json:"jti"`
	Method   string   `json:"htm"`
	URL      string   `json:"htu"`
	IssuedAt *float64 `json:"iat"`
	Token    string   `json:"ath"`
	Nonce    string   `json:"nonce"`
}

// proof checks the request's DPoP proof, and returns the code of what is wrong, or "".
func (a *Authenticator) proof(r Request, token string, v verified) string {
	if a.replays == nil {
		return CodeBinding // a proof that is replayed would not be noticed
	}
	switch len(r.Proof) { // 1. There is not more than one DPoP header.
	case 0:
		return CodeProofMissing
	case 1:
	default:
		return CodeProofMalformed
	}
	raw := r.Proof[0]
	var h proofHeader
	var c proofClaims
	if !readProof(raw, &h, &c) { // 2. It is one well-formed JWT; 3. with all claims.
		return CodeProofMalformed
	}
	switch {
	case h.Typ != "dpop+jwt": // 4.
		return CodeProofType
	case !asymmetric(h.Alg): // 5. Asymmetric, supported, acceptable; never none.
		return CodeProofAlgorithm
	}
	thumb, code := signedProof(raw, &h) // 6. The signature is the key's; 7. which is public.
	if code != "" {
		return code
	}
	now := a.now()
	switch {
	case c.Method != r.Method: // 8.
		return CodeProofMethod
	case !sameURL(c.URL, r.URL): // 9. Without query and fragment.
		return CodeProofURL
	case a.demandNonce && !a.nonces.good(c.Nonce, now): // 10.
		return CodeProofNonce
	case !a.recent(c.IssuedAt, now): // 11. Within an acceptable window.
		return CodeProofTime
	}
	sum := sha256.Sum256([]byte(token)) // 12. It is for this token,
	if !same(c.Token, base64.RawURLEncoding.EncodeToString(sum[:])) {
		return CodeProofToken
	}
	if !same(thumb, v.confirm.key) { // whose key it is.
		return CodeProofKeyOther
	}
	// Section 11.1: a proof is good once. Its jti is unique to its key (section 4.2).
	first, err := a.replays.Use(thumb, sha256.Sum256([]byte(thumb+" "+c.ID)), date(c.IssuedAt).Add(a.proofAge))
	switch {
	case err != nil:
		return CodeReplays
	case !first:
		return CodeProofReplayed
	}
	return ""
}

// readProof reads a compact JWT with everything that a proof needs.
func readProof(raw string, h *proofHeader, c *proofClaims) bool {
	if len(raw) > maxProof || strings.Count(raw, ".") != 2 {
		return false
	}
	head, rest, _ := strings.Cut(raw, ".")
	body, signature, _ := strings.Cut(rest, ".")
	headDoc, headOK := segment(head)
	bodyDoc, bodyOK := segment(body)
	if !headOK || !bodyOK || !plain(signature) || object(headDoc, h, CodeMalformed) != "" || object(bodyDoc, c, CodeMalformed) != "" {
		return false
	}
	if h.Crit != nil || h.B64 != nil || h.JKU != nil || h.X5U != nil {
		return false
	}
	return c.ID != "" && len(c.ID) <= maxProofID && c.Method != "" && c.URL != "" && c.Token != "" &&
		c.IssuedAt != nil && *c.IssuedAt >= 0 && *c.IssuedAt < 1<<38
}

// signedProof is the thumbprint (RFC 7638) of the key that a proof brings and is signed by,
// or the code of what is wrong.
func signedProof(raw string, h *proofHeader) (thumb, code string) {
	var jwk jose.JSONWebKey
	if h.JWK == nil || jwk.UnmarshalJSON(h.JWK) != nil || !jwk.IsPublic() || !jwk.Valid() {
		return "", CodeProofKey
	}
	if rsaKey, ok := jwk.Key.(*rsa.PublicKey); ok && rsaKey.N.BitLen() < minRSABits {
		return "", CodeProofKey
	}
	if k := (&key{alg: jwk.Algorithm, jwk: jwk}); !k.fits(h.Alg) {
		return "", CodeProofKey
	}
	jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(h.Alg)})
	if err != nil {
		return "", CodeProofMalformed
	}
	if _, err := jws.Verify(&jwk); err != nil {
		return "", CodeProofSignature
	}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", CodeProofKey
	}
	return base64.RawURLEncoding.EncodeToString(sum), ""
}

// recent reports whether a proof was made within the last moments. Clients' clocks differ,
// so a little of the future is borne with.
func (a *Authenticator) recent(issued *float64, now time.Time) bool {
	at := date(issued)
	return now.Before(at.Add(a.proofAge)) && !at.After(now.Add(early))
}

// sameURL compares two URLs after the normalisation of RFC 3986, sections 6.2.2 and 6.2.3,
// without query and fragment.
func sameURL(given, want string) bool {
	a, ok := normal(given)
	b, _ := normal(want)
	return ok && a == b
}

func normal(s string) (string, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" {
		return "", false
	}
	host := strings.ToLower(u.Host)
	switch u.Scheme { // in lower case by Parse
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return u.Scheme + "://" + host + unescape(path), true
}

// unescape decodes what needs no encoding in a path, and writes other encodings in upper
// case. Dot segments stay: the gateway serves no path that has them.
func unescape(path string) string {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	if !strings.Contains(path, "%") {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			b.WriteByte(path[i])
			continue
		}
		c, err := url.PathUnescape(path[i : i+3])
		if err == nil && strings.Contains(unreserved, c) {
			b.WriteString(c)
		} else {
			b.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	return b.String()
}
