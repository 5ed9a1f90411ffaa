package demo_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

// TestAuthorizeErrors: what is wrong with client or redirect URI is said on a page
// and sent nowhere; the rest is sent to the app.
func TestAuthorizeErrors(t *testing.T) {
	s := newStand(t)
	good := url.Values{"response_type": {"code"}, "client_id": {"demo-app"}, "redirect_uri": {callback}, "state": {"s"}, "scope": {"openid"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(oauth2.GenerateVerifier())}, "code_challenge_method": {"S256"}}
	for _, tt := range []struct {
		name   string
		change url.Values // an empty list removes
		want   string     // "" a page
	}{
		{"unknown client", url.Values{"client_id": {"somebody"}}, ""},
		{"client without code", url.Values{"client_id": {"demo-access"}}, ""},
		{"no redirect", url.Values{"redirect_uri": {}}, ""},
		{"longer redirect", url.Values{"redirect_uri": {callback + "/more"}}, ""},
		{"other port", url.Values{"redirect_uri": {"http://127.0.0.1:2/callback"}}, ""},
		{"other host", url.Values{"redirect_uri": {"https://evil.example/callback"}}, ""},
		{"two redirects", url.Values{"redirect_uri": {callback, "https://evil.example/"}}, ""},
		{"plain", url.Values{"code_challenge_method": {"plain"}}, "invalid_request"},
		{"no method", url.Values{"code_challenge_method": {}}, "invalid_request"},
		{"no challenge", url.Values{"code_challenge": {}}, "invalid_request"},
		{"short challenge", url.Values{"code_challenge": {"abc"}}, "invalid_request"},
		{"no state", url.Values{"state": {}}, "invalid_request"},
		{"implicit", url.Values{"response_type": {"token"}}, "unsupported_response_type"},
		{"fragment", url.Values{"response_mode": {"fragment"}}, "invalid_request"},
		{"too much", url.Values{"scope": {"openid system/*.cruds"}}, "invalid_scope"},
		{"other audience", url.Values{"aud": {"https://evil.example/fhir"}}, "invalid_target"},
		{"other resource", url.Values{"resource": {"https://evil.example/fhir"}}, "invalid_target"},
		{"request object", url.Values{"request": {"eyJ"}}, "request_not_supported"},
		{"silent", url.Values{"prompt": {"none"}}, "consent_required"},
		{"twice", url.Values{"scope": {"openid", "fhirUser"}}, "invalid_request"},
		{"too long", url.Values{"state": {strings.Repeat("x", 5000)}}, "invalid_request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := maps.Clone(good)
			maps.Copy(q, tt.change)
			resp, err := s.http.Get(s.issuer.URL() + demo.AuthorizePath + "?" + q.Encode())
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			to, _ := resp.Location()
			if tt.want == "" {
				if resp.StatusCode != http.StatusBadRequest || to != nil {
					t.Errorf("%d %v", resp.StatusCode, to)
				}
				return
			}
			if resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to.String(), callback+"?") || to.Query().Get("error") != tt.want || to.Query().Get("iss") != s.issuer.URL() {
				t.Errorf("%d %v", resp.StatusCode, to)
			}
		})
	}
}

func TestTokenErrors(t *testing.T) {
	s := newStand(t)
	config := s.app(t)
	verifier := oauth2.GenerateVerifier()
	secret := string(s.clients["demo-access"].Secret)
	credentials := url.Values{"grant_type": {"client_credentials"}, "client_id": {"demo-access"}, "client_secret": {secret}}
	exchange := func(change url.Values) func(t *testing.T) url.Values {
		return func(t *testing.T) url.Values {
			form := url.Values{"grant_type": {"authorization_code"}, "client_id": {"demo-app"}, "redirect_uri": {callback}, "code_verifier": {verifier}, "code": {s.code(t, config, verifier)}}
			maps.Copy(form, change)
			return form
		}
	}
	with := func(change url.Values) func(*testing.T) url.Values {
		return func(*testing.T) url.Values {
			form := maps.Clone(credentials)
			maps.Copy(form, change)
			return form
		}
	}
	basic := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	for _, tt := range []struct {
		name   string
		form   func(*testing.T) url.Values
		change func(*http.Request)
		status int
		want   string
	}{
		{name: "good", form: with(nil), status: 200},
		{name: "good code", form: exchange(nil), status: 200},
		{name: "bad secret", form: with(url.Values{"client_secret": {secret + "x"}}), status: 401, want: "invalid_client"},
		{name: "empty secret", form: with(url.Values{"client_secret": {}}), status: 401, want: "invalid_client"},
		{name: "unknown client", form: with(url.Values{"client_id": {"somebody"}}), status: 401, want: "invalid_client"},
		{name: "no client", form: with(url.Values{"client_id": {}, "client_secret": {}}), status: 401, want: "invalid_client"},
		{name: "bad basic secret", form: with(url.Values{"client_secret": {}}), change: basic("demo-access", "x"), status: 401, want: "invalid_client"},
		{name: "basic that is none", form: with(url.Values{"client_secret": {}}), change: basic("%zz", "x"), status: 401, want: "invalid_client"},
		{name: "bearer", form: with(nil), change: func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, status: 401, want: "invalid_client"},
		{name: "both ways", form: with(nil), change: basic("demo-access", secret), status: 400, want: "invalid_request"},
		{name: "two clients", form: with(url.Values{"client_id": {"demo-billing"}, "client_secret": {}}), change: basic("demo-access", secret), status: 400, want: "invalid_request"},
		{name: "secret of the public", form: with(url.Values{"client_id": {"demo-app"}}), status: 401, want: "invalid_client"},
		{name: "public credentials", form: with(url.Values{"client_id": {"demo-app"}, "client_secret": {}}), status: 400, want: "unauthorized_client"},
		{name: "scope", form: with(url.Values{"scope": {"system/Observation.rs"}}), status: 400, want: "invalid_scope"},
		{name: "scope of the nobody", form: with(url.Values{"client_id": {"demo-nobody"}, "client_secret": {string(s.clients["demo-nobody"].Secret)}, "scope": {"system/Patient.rs"}}), status: 400, want: "invalid_scope"},
		{name: "resource", form: with(url.Values{"resource": {"https://evil.example"}}), status: 400, want: "invalid_target"},
		{name: "password grant", form: with(url.Values{"grant_type": {"password"}}), status: 400, want: "unsupported_grant_type"},
		{name: "no grant", form: with(url.Values{"grant_type": {}}), status: 400, want: "invalid_request"},
		{name: "twice", form: with(url.Values{"scope": {"a", "b"}}), status: 400, want: "invalid_request"},
		{name: "in the query", form: with(nil), change: func(r *http.Request) { r.URL.RawQuery = "scope=a" }, status: 400, want: "invalid_request"},
		{name: "JSON", form: with(nil), change: func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, status: 400, want: "invalid_request"},
		{name: "huge", form: with(url.Values{"padding": {strings.Repeat("x", 20<<10)}}), status: 400, want: "invalid_request"},
		{name: "no code", form: exchange(url.Values{"code": {}}), status: 400, want: "invalid_grant"},
		{name: "unknown code", form: exchange(url.Values{"code": {"guess"}}), status: 400, want: "invalid_grant"},
		{name: "wrong verifier", form: exchange(url.Values{"code_verifier": {oauth2.GenerateVerifier()}}), status: 400, want: "invalid_grant"},
		{name: "no verifier", form: exchange(url.Values{"code_verifier": {}}), status: 400, want: "invalid_grant"},
		{name: "challenge as verifier", form: exchange(url.Values{"code_verifier": {oauth2.S256ChallengeFromVerifier(verifier)}}), status: 400, want: "invalid_grant"},
		{name: "wrong redirect", form: exchange(url.Values{"redirect_uri": {callback + "?app=1"}}), status: 400, want: "invalid_grant"},
		{name: "no redirect", form: exchange(url.Values{"redirect_uri": {}}), status: 400, want: "invalid_grant"},
		{name: "another's code", form: exchange(url.Values{"client_id": {"demo-access"}, "client_secret": {secret}}), status: 400, want: "invalid_grant"},
		{name: "late code", form: func(t *testing.T) url.Values { f := exchange(nil)(t); s.clock.advance(time.Minute); return f }, status: 400, want: "invalid_grant"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			form := tt.form(t)
			r, _ := http.NewRequest(http.MethodPost, s.issuer.URL()+demo.TokenPath, strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if tt.change != nil {
				tt.change(r)
			}
			resp, err := s.http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var body struct {
				Error       string
				AccessToken string `json:"access_token"`
			}
			if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.status || body.Error != tt.want || (body.AccessToken != "") != (tt.want == "") || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %+v", resp.StatusCode, body)
			}
			if (resp.StatusCode == 401) != (resp.Header.Get("WWW-Authenticate") != "") {
				t.Errorf("WWW-Authenticate %q", resp.Header.Get("WWW-Authenticate"))
			}
			// Whatever was wrong with it, a code that was shown is used up.
			if code := form.Get("code"); code != "" && tt.name != "good code" && tt.name != "unknown code" {
				if _, err := config.Exchange(s.ctx, code, oauth2.VerifierOption(verifier)); err == nil {
					t.Error("a code that was tried wrongly is still good")
				}
			}
		})
	}
}
