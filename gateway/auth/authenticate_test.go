package auth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/auth"
)

func newAuth(t testing.TB, o auth.Options) *auth.Authenticator {
	t.Helper()
	a, err := auth.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// code is the code of an authentication that failed, "" of one that did not. It holds
// every error to what is promised of all.
func code(t testing.TB, a *auth.Authenticator, header ...string) string {
	t.Helper()
	caller, err := a.Authenticate(t.Context(), auth.Request{Authorization: header})
	if err == nil {
		if caller == nil {
			t.Fatal("neither caller nor error")
		}
		return ""
	}
	var e *auth.Error
	if !errors.As(err, &e) || caller != nil {
		t.Fatalf("Authenticate = %v, %v", caller, err)
	}
	if e.Sentence() == "" {
		t.Errorf("%s has no sentence", e.Code)
	}
	for _, h := range header {
		for part := range strings.FieldsFuncSeq(h, func(r rune) bool { return r == '.' || r == ' ' }) {
			if len(part) > 12 && strings.Contains(e.Error()+e.Sentence(), part) {
				t.Errorf("the error quotes the token: %v", e)
			}
		}
	}
	return e.Code
}

func TestAuthenticateAccepts(t *testing.T) {
	keys := []signingKey{
		rsaKey("rsa"), ecKey("ec"),
		{id: "ps", alg: "PS256", private: rsaPair()},
		{id: "ec384", alg: "ES384", use: "sig", private: ec384Pair()},
		{id: "ed", alg: "EdDSA", use: "sig", private: edPair()},
	}
	iss := newIssuer(t, keys...)
	cfg := iss.config()
	cfg.ClockSkew = 30 * time.Second
	cfg.Audiences = []string{"https://other.example", audience}
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{cfg}, Now: newClock().now})
	at := func(d time.Duration) int64 { return start.Add(d).Unix() }
	for _, c := range []struct {
		name   string
		key    signingKey
		typ    string
		claims claim
	}{
		{"RS256", keys[0], "at+jwt", nil},
		{"ES256", keys[1], "at+jwt", nil},
		{"PS256", keys[2], "at+jwt", nil},
		{"ES384", keys[3], "at+jwt", nil},
		{"EdDSA", keys[4], "at+jwt", nil},
		{"typ JWT", keys[0], "JWT", nil},
		{"typ in full", keys[0], "application/AT+JWT", nil},
		{"no typ", keys[0], "", nil},
		{"the client among the audiences, with scopes", keys[0], "", claim{"aud": []string{"desk", audience}}},
		{"the client among the audiences, where it says access token", keys[0], "at+jwt", claim{"aud": []string{"desk", audience}, "scope": nil}},
		{"several audiences", keys[0], "", claim{"aud": []string{"https://a.example", audience}}},
		{"azp for client_id", keys[0], "", claim{"client_id": nil, "azp": "desk"}},
		{"no iat", keys[0], "", claim{"iat": nil}},
		{"fractions", keys[0], "", claim{"exp": float64(at(time.Hour)) + 0.5}},
		{"expired within the skew", keys[0], "", claim{"exp": at(-29 * time.Second)}},
		{"not before, within the skew", keys[0], "", claim{"nbf": at(30 * time.Second), "iat": at(30 * time.Second)}},
		{"nonce where it says access token", keys[0], "at+jwt", claim{"nonce": "n"}},
		{"Keycloak's access token", keys[0], "JWT", claim{"typ": "Bearer", "nonce": "n"}},
		{"Cognito's access token", keys[0], "", claim{"token_use": "access"}},
		{"other claims of any kind", keys[0], "", claim{"x": map[string]any{"y": []any{1, nil, map[string]any{}}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := sign(t, c.key, c.typ, iss.claims(c.claims))
			for _, scheme := range []string{"Bearer ", "bearer ", "BEARER   "} {
				if got := code(t, a, scheme+token); got != "" {
					t.Errorf("%q: %s", scheme, got)
				}
			}
		})
	}
	if n := iss.fetches.Load(); n != 1 {
		t.Errorf("%d fetches of the keys", n)
	}
}

func TestAuthenticateRefuses(t *testing.T) {
	iss := newIssuer(t, rsaKey("rsa"), ecKey("ec"),
		signingKey{id: "weak", alg: "RS256", private: weakRSA()},
		signingKey{id: "enc", alg: "RS256", use: "enc", private: rsaPair()},
		signingKey{id: "ps-only", alg: "PS256", private: rsaPair()},
		signingKey{id: "ed", alg: "EdDSA", private: edPair()})
	cfg := iss.config()
	cfg.Algorithms = []string{"RS256", "PS256"}
	cfg.ClockSkew = 30 * time.Second
	a := newAuth(t, auth.Options{Issuers: []auth.Issuer{cfg}, Now: newClock().now})

	const header = `{"alg":"RS256","kid":"rsa"}`
	good := forge(header, iss.payload())
	at := func(d time.Duration) int64 { return start.Add(d).Unix() }
	with := func(changes claim) []string { return []string{"Bearer " + forge(header, iss.payload(changes))} }
	head := func(h string) []string { return []string{"Bearer " + forge(h, iss.payload())} }
	body := func(b string) []string { return []string{"Bearer " + forge(header, b)} }
	members := strings.TrimSuffix(strings.TrimPrefix(iss.payload(), "{"), "}")
	hmacSigned := func() string {
		public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(rsaPair().Public()))})
		input := encode(`{"alg":"HS256","kid":"rsa"}`) + "." + encode(iss.payload())
		mac := hmac.New(sha256.New, public)
		mac.Write([]byte(input))
		return input + "." + encode(string(mac.Sum(nil)))
	}
	if got := code(t, a, "Bearer "+good); got != "" {
		t.Fatalf("the token that the others are made of: %s", got)
	}

	for _, c := range []struct {
		name   string
		header []string
		want   string
	}{
		{"no header", nil, auth.CodeMissing},
		{"empty header", []string{""}, auth.CodeMissing},
		{"Basic", []string{"Basic dXNlcjpwYXNz"}, auth.CodeMissing},
		{"DPoP, of a token that is not bound", []string{"DPoP " + good}, auth.CodeBinding},
		{"token without a scheme", []string{good}, auth.CodeMissing},
		{"Bearer with a tab", []string{"Bearer\t" + good}, auth.CodeMissing},
		{"two headers", []string{"Bearer " + good, "Bearer " + good}, auth.CodeHeader},
		{"Bearer and Basic", []string{"Bearer " + good, "Basic dXNlcjpwYXNz"}, auth.CodeHeader},
		{"two in one header", []string{"Bearer " + good + ", Bearer " + good}, auth.CodeHeader},
		{"no token", []string{"Bearer"}, auth.CodeHeader},
		{"only spaces", []string{"Bearer   "}, auth.CodeHeader},
		{"trailing space", []string{"Bearer " + good + " "}, auth.CodeHeader},
		{"line break", []string{"Bearer " + good[:20] + "\n" + good[20:]}, auth.CodeHeader},
		{"parameter form", []string{`Bearer token="` + good + `"`}, auth.CodeHeader},
		{"oversized", []string{"Bearer " + strings.Repeat("a", 16<<10+1)}, auth.CodeTooLong},

		{"opaque", []string{"Bearer 2YotnFZFEjr1zCsicMWpAA"}, auth.CodeMalformed},
		{"two parts", []string{"Bearer " + good[:strings.LastIndex(good, ".")]}, auth.CodeMalformed},
		{"four parts", []string{"Bearer " + good + ".a"}, auth.CodeMalformed},
		{"encrypted", []string{"Bearer " + encode(`{"alg":"dir","enc":"A256GCM","zip":"DEF"}`) + "..a.b.c"}, auth.CodeEncrypted},
		{"empty parts", []string{"Bearer .."}, auth.CodeHeader + "|" + auth.CodeMalformed},
		{"padding", []string{"Bearer " + good + "="}, auth.CodeMalformed},
		{"another base64", []string{"Bearer " + strings.Replace(good, ".", "+.", 1)}, auth.CodeMalformed},
		{"base64 with bits left over", []string{"Bearer " + forgeSegments(encode(header + " ")[:37]+"B", encode(iss.payload()))}, auth.CodeMalformed},
		{"header no JSON", []string{"Bearer " + encode("hello") + "." + encode("{}") + ".a"}, auth.CodeMalformed},
		{"header an array", head(`["RS256"]`), auth.CodeMalformed},
		{"header cut", head(`{"alg":"RS256"`), auth.CodeMalformed},
		{"header with a tail", head(header + "{}"), auth.CodeMalformed},
		{"header not UTF-8", head("{\"alg\":\"RS256\",\"kid\":\"\xff\"}"), auth.CodeMalformed},
		{"header, wrong kind", head(`{"alg":["RS256"],"kid":"rsa"}`), auth.CodeMalformed},
		{"payload no JSON", body("hello"), auth.CodeMalformed},
		{"payload null", body("null"), auth.CodeMalformed},
		{"payload not UTF-8", body(`{` + members + ",\"x\":\"\xff\"}"), auth.CodeMalformed},
		{"payload nested garbage", body(`{"x":` + strings.Repeat(`[{"y":`, 1000)), auth.CodeMalformed},
		{"payload nested too deep", body(`{` + members + `,"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`), auth.CodeMalformed},

		{"duplicate in the header", head(`{"alg":"RS256","kid":"rsa","kid":"rsa"}`), auth.CodeDuplicate},
		{"duplicate claim", body(`{` + members + `,"scope":"system/*.cruds"}`), auth.CodeDuplicate},
		{"duplicate claim, escaped", body(`{` + members + `,"s\u0063ope":"system/*.cruds"}`), auth.CodeDuplicate},
		{"duplicate inside a claim", body(`{` + members + `,"x":{"y":1,"y":2}}`), auth.CodeDuplicate},

		{"none", []string{"Bearer " + encode(`{"alg":"none"}`) + "." + encode(iss.payload()) + "."}, auth.CodeAlgorithm},
		{"none from an unknown issuer", []string{"Bearer " + encode(`{"alg":"none"}`) + "." + encode(`{"iss":"https://evil.example"}`) + "."}, auth.CodeAlgorithm},
		{"none with a signature", head(`{"alg":"none","kid":"rsa"}`), auth.CodeAlgorithm},
		{"None", head(`{"alg":"None","kid":"rsa"}`), auth.CodeAlgorithm},
		{"no alg", head(`{"kid":"rsa"}`), auth.CodeAlgorithm},
		{"alg in lower case", head(`{"alg":"rs256","kid":"rsa"}`), auth.CodeAlgorithm},
		{"alg null", head(`{"alg":null,"kid":"rsa"}`), auth.CodeAlgorithm},
		{"HS256 by the public key", []string{"Bearer " + hmacSigned()}, auth.CodeAlgorithm},
		{"ES256 where it is not allowed", []string{"Bearer " + sign(t, ecKey("ec"), "", iss.claims())}, auth.CodeAlgorithm},
		{"RS384 where it is not allowed", head(`{"alg":"RS384","kid":"rsa"}`), auth.CodeAlgorithm},
		{"PS256 by a key for RS256", head(`{"alg":"PS256","kid":"rsa"}`), auth.CodeKey},
		{"RS256 by a key for PS256", head(`{"alg":"RS256","kid":"ps-only"}`), auth.CodeKey},
		{"RS256 by an EC key", head(`{"alg":"RS256","kid":"ec"}`), auth.CodeKey},
		{"RS256 by an Ed25519 key", head(`{"alg":"RS256","kid":"ed"}`), auth.CodeKey},

		{"crit", head(`{"alg":"RS256","kid":"rsa","crit":["exp"],"exp":1}`), auth.CodeCritical},
		{"crit null", head(`{"alg":"RS256","kid":"rsa","crit":null}`), auth.CodeCritical},
		{"b64", head(`{"alg":"RS256","kid":"rsa","b64":false}`), auth.CodeCritical},
		{"jwk", head(`{"alg":"RS256","kid":"rsa","jwk":{"kty":"RSA"}}`), auth.CodeEmbeddedKey},
		{"jku", head(`{"alg":"RS256","kid":"rsa","jku":"https://evil.example/jwks"}`), auth.CodeEmbeddedKey},
		{"x5u", head(`{"alg":"RS256","kid":"rsa","x5u":"https://evil.example/cert"}`), auth.CodeEmbeddedKey},
		{"x5c", head(`{"alg":"RS256","kid":"rsa","x5c":[]}`), auth.CodeEmbeddedKey},

		{"no kid", head(`{"alg":"RS256"}`), auth.CodeKey},
		{"empty kid", head(`{"alg":"RS256","kid":""}`), auth.CodeKey},
		{"unknown kid", head(`{"alg":"RS256","kid":"other"}`), auth.CodeKey},
		{"kid with a path", head(`{"alg":"RS256","kid":"../../../dev/null"}`), auth.CodeKey},
		{"kid of a key that is too short", head(`{"alg":"RS256","kid":"weak"}`), auth.CodeKey},
		{"kid of a key for encryption", head(`{"alg":"RS256","kid":"enc"}`), auth.CodeKey},

		{"tampered payload", []string{"Bearer " + strings.Replace(good, "."+encode(iss.payload()), "."+encode(iss.payload(claim{"sub": "root"})), 1)}, auth.CodeSignature},
		{"signed by another key", []string{"Bearer " + sign(t, signingKey{id: "rsa", alg: "RS256", private: otherRSA()}, "", iss.claims())}, auth.CodeSignature},
		{"no signature", []string{"Bearer " + good[:strings.LastIndex(good, ".")+1]}, auth.CodeSignature},
		{"cut signature", []string{"Bearer " + good[:len(good)-4]}, auth.CodeSignature},

		{"unknown issuer", with(claim{"iss": "https://evil.example"}), auth.CodeIssuer},
		{"issuer with a slash", with(claim{"iss": iss.URL + "/"}), auth.CodeIssuer},
		{"issuer in upper case", with(claim{"iss": strings.ToUpper(iss.URL)}), auth.CodeIssuer},
		{"no issuer", with(claim{"iss": nil}), auth.CodeIssuer},
		{"issuers", with(claim{"iss": []string{iss.URL}}), auth.CodeClaims},
		{"issuer in another case of the name", body(`{` + members + `,"ISS":"https://evil.example"}`), auth.CodeClaims},
		{"wrong audience", with(claim{"aud": "https://other.example"}), auth.CodeAudience},
		{"audience as a prefix", with(claim{"aud": audience + "/more"}), auth.CodeAudience},
		{"no audience", with(claim{"aud": nil}), auth.CodeAudience},
		{"empty audience", with(claim{"aud": []string{}}), auth.CodeAudience},
		{"audience of the wrong kind", with(claim{"aud": claim{"a": audience}}), auth.CodeClaims},
		{"audiences of the wrong kind", with(claim{"aud": []any{audience, 1}}), auth.CodeClaims},

		{"expired", with(claim{"exp": at(-time.Hour)}), auth.CodeExpired},
		{"expired to the second", with(claim{"exp": at(-30 * time.Second)}), auth.CodeExpired},
		{"no expiry", with(claim{"exp": nil}), auth.CodeClaims},
		{"expiry in words", with(claim{"exp": "tomorrow"}), auth.CodeClaims},
		{"expiry without end", body(strings.Replace(iss.payload(), `"exp":`, `"exp":1e300,"was":`, 1)), auth.CodeClaims},
		{"expiry before all time", with(claim{"exp": -1}), auth.CodeClaims},
		{"not yet", with(claim{"nbf": at(31 * time.Second)}), auth.CodeEarly},
		{"issued in the future", with(claim{"iat": at(31 * time.Second)}), auth.CodeEarly},
		{"expired, by an unknown key", []string{"Bearer " + forge(`{"alg":"RS256","kid":"old"}`, iss.payload(claim{"exp": at(-time.Hour)}))}, auth.CodeExpired},

		{"ID token by nonce", with(claim{"nonce": "n"}), auth.CodeType},
		{"ID token by an empty nonce", with(claim{"nonce": ""}), auth.CodeType},
		{"ID token by at_hash", with(claim{"at_hash": "h"}), auth.CodeType},
		{"ID token by c_hash", with(claim{"c_hash": "h"}), auth.CodeType},
		{"ID token by its own words", with(claim{"typ": "ID"}), auth.CodeType},
		{"ID token by its audience", with(claim{"aud": []string{"desk", audience}, "scope": nil}), auth.CodeType},
		{"ID token by its audience and azp", with(claim{"aud": []string{"desk", audience}, "scope": nil, "client_id": nil, "azp": "desk"}), auth.CodeType},
		{"refresh token", with(claim{"typ": "Refresh"}), auth.CodeType},
		{"Cognito's ID token", with(claim{"token_use": "id"}), auth.CodeType},
		{"logout token", with(claim{"events": claim{"http://schemas.openid.net/event/backchannel-logout": claim{}}}), auth.CodeType},
		{"typ of a logout token", head(`{"alg":"RS256","kid":"rsa","typ":"logout+jwt"}`), auth.CodeType},
		{"typ of a DPoP proof", head(`{"alg":"RS256","kid":"rsa","typ":"dpop+jwt"}`), auth.CodeType},
		{"nested", head(`{"alg":"RS256","kid":"rsa","cty":"JWT"}`), auth.CodeType},
		{"bound by DPoP", with(claim{"cnf": claim{"jkt": strings.Repeat("a", 42) + "A"}}), auth.CodeBinding},
		{"bound to no key", with(claim{"cnf": claim{"jkt": "t"}}), auth.CodeBinding},
		{"bound to nothing", with(claim{"cnf": claim{}}), auth.CodeBinding},
		{"bound to what is no object", with(claim{"cnf": "t"}), auth.CodeBinding},
		{"bound in another way", with(claim{"cnf": claim{"jwk": claim{"kty": "EC"}}}), auth.CodeBinding},
		{"bound in another way as well", with(claim{"cnf": claim{"x5t#S256": strings.Repeat("a", 42) + "A", "kid": "1"}}), auth.CodeBinding},
		{"bound to a certificate, without one", with(claim{"cnf": claim{"x5t#S256": strings.Repeat("a", 42) + "A"}}), auth.CodeCertificate},

		{"no subject", with(claim{"sub": nil}), auth.CodeClaims},
		{"no client", with(claim{"client_id": nil}), auth.CodeClaims},
		{"subject of the wrong kind", with(claim{"sub": 7}), auth.CodeClaims},
		{"scope of the wrong kind", with(claim{"scope": claim{"user/Patient.rs": true}}), auth.CodeClaims},
		{"patient of the wrong kind", with(claim{"patient": 7}), auth.CodeClaims},
		{"patients", with(claim{"patient": []string{"p1"}}), auth.CodeClaims},
		{"fhirUser of the wrong kind", with(claim{"fhirUser": claim{"reference": "Practitioner/7"}}), auth.CodeClaims},
		{"patient that is no id", with(claim{"patient": "Patient/7"}), auth.CodeClaims},
		{"encounter that is no id", with(claim{"encounter": "7?x=y"}), auth.CodeClaims},
		{"roles of the wrong kind", with(claim{"roles": claim{"admin": true}}), auth.CodeClaims},
		{"roles of mixed kinds", with(claim{"roles": []any{"a", true}}), auth.CodeClaims},
		{"two tickets", with(claim{"ticket": []string{"1", "2"}}), auth.CodeClaims},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := code(t, a, c.header...); got == "" || !strings.Contains(c.want, got) {
				t.Errorf("code %q, want %q", got, c.want)
			}
		})
	}
	if got := code(t, a, "Bearer "+good); got != "" {
		t.Errorf("the good token afterwards: %s", got)
	}
	if n := iss.fetches.Load(); n != 2 {
		t.Errorf("the keys were fetched %d times", n)
	}
}
