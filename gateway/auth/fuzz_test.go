package auth_test

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/halfdoor/halfdoor/gateway/auth"
)

const fuzzIssuer = "https://login.example"

// offline is an issuer without a network.
type offline struct{}

func (offline) RoundTrip(r *http.Request) (*http.Response, error) {
	body := `{"issuer":"` + fuzzIssuer + `","jwks_uri":"` + fuzzIssuer + `/jwks"}`
	if r.URL.Path == "/jwks" {
		jwk := jose.JSONWebKey{Key: edPair().Public(), KeyID: "ed", Use: "sig"}
		body = `{"keys":[` + string(must(jwk.MarshalJSON())) + `]}`
	}
	return &http.Response{StatusCode: 200, Request: r, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body))}, nil
}

func offlineClient() *http.Client { return &http.Client{Transport: offline{}} }

func offlineAuth(t testing.TB) *auth.Authenticator {
	return newAuth(t, auth.Options{
		Issuers:   []auth.Issuer{{URL: fuzzIssuer, Audiences: []string{audience}, Client: offlineClient()}},
		Now:       func() time.Time { return start },
		CacheSize: 16,
	})
}

const (
	goodHeader  = `{"alg":"EdDSA","kid":"ed","typ":"at+jwt"}`
	goodPayload = `{"iss":"https://login.example","sub":"a","client_id":"c","aud":["https://gateway.example/fhir"],"exp":1772400000,"scope":"user/Patient.rs"}`
)

func signEd(header, payload string) string {
	input := encode(header) + "." + encode(payload)
	return input + "." + encode(string(ed25519.Sign(edPair(), []byte(input))))
}

var headerSeeds = []string{
	"Bearer " + signEd(goodHeader, goodPayload),
	"bearer  " + signEd(goodHeader, goodPayload),
	"Bearer " + signEd(`{"alg":"none"}`, goodPayload),
	"Bearer " + signEd(goodHeader, `{}`),
	"Basic dXNlcjpwYXNz", "Bearer", "Bearer ..", "Bearer a.b.c", "Bearer a.b.c.d.e", "\x00",
}

// Of whatever is sent, only the token that was signed gets a caller, however its scheme
// is written; everything else gets an Error.
func FuzzHeader(f *testing.F) {
	for _, s := range headerSeeds {
		f.Add(s)
	}
	a := offlineAuth(f)
	good := signEd(goodHeader, goodPayload)
	f.Fuzz(func(t *testing.T, header string) {
		if code(t, a, header) == "" {
			scheme, token, _ := strings.Cut(header, " ")
			if !strings.EqualFold(scheme, "Bearer") || strings.TrimLeft(token, " ") != good {
				t.Fatalf("%q was accepted", header)
			}
		}
	})
}

var tokenSeeds = [][2]string{
	{goodHeader, goodPayload},
	{`{"alg":"EdDSA","kid":"ed"}`, strings.Replace(goodPayload, `"scope":"user/Patient.rs"`, `"scp":["user/*.rs","openid"],"nbf":1.5,"patient":"7"`, 1)},
	{`{"alg":"EdDSA","kid":"ed","crit":[]}`, goodPayload},
	{`{"alg":"EdDSA","\u006bid":"ed"}`, goodPayload},
	{goodHeader, `{"ISS":"x",` + goodPayload[1:]},
	{goodHeader, `{"sub":"b",` + goodPayload[1:]},
	{goodHeader, strings.Replace(goodPayload, "1772400000", "1e400", 1)},
	{goodHeader, `{"roles":[[]],` + goodPayload[1:]},
}

// Of whatever an issuer signs, only what a slow and obvious reading finds good as well
// gets a caller, and no scope that it does not find.
func FuzzToken(f *testing.F) {
	for _, s := range tokenSeeds {
		f.Add(s[0], s[1])
	}
	a := offlineAuth(f)
	f.Fuzz(func(t *testing.T, header, payload string) {
		got, err := a.Authenticate(t.Context(), auth.Request{Authorization: []string{"Bearer " + signEd(header, payload)}})
		if err != nil {
			var e *auth.Error
			if !errors.As(err, &e) || e.Sentence() == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		var h, c map[string]any
		if json.Unmarshal([]byte(header), &h) != nil || json.Unmarshal([]byte(payload), &c) != nil {
			t.Fatalf("no JSON was accepted: %q %q", header, payload)
		}
		aud, _ := c["aud"].([]any)
		if one, ok := c["aud"].(string); ok {
			aud = []any{one}
		}
		exp, _ := c["exp"].(float64)
		switch {
		case h["alg"] != "EdDSA", h["kid"] != "ed", h["crit"] != nil, h["jwk"] != nil, h["jku"] != nil,
			c["iss"] != fuzzIssuer, c["sub"] != got.Subject, got.Subject == "", got.ClientID == "",
			!slices.Contains(aud, any(audience)), exp <= float64(start.Unix()), c["cnf"] != nil:
			t.Fatalf("accepted: %q %q", header, payload)
		}
		for _, s := range got.Grant.Scopes {
			if !strings.Contains(payload, s.Level.String()) && !strings.Contains(payload, `\u`) {
				t.Fatalf("%q grants %v", payload, s)
			}
		}
		if got.Grant.Patient != "" && c["patient"] != got.Grant.Patient {
			t.Fatalf("%q is for patient %q", payload, got.Grant.Patient)
		}
	})
}

// The seeds have to get as far as they are meant to.
func TestSeeds(t *testing.T) {
	a := offlineAuth(t)
	accepted := 0
	for _, h := range headerSeeds {
		if code(t, a, h) == "" {
			accepted++
		}
	}
	for _, s := range tokenSeeds {
		if code(t, a, "Bearer "+signEd(s[0], s[1])) == "" {
			accepted++
		}
	}
	if accepted != 6 {
		t.Errorf("%d of the seeds are accepted, want 6", accepted)
	}
}
