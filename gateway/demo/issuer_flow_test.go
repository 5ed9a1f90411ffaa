package demo_test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/halfdoor/halfdoor/gateway/demo"
)

func base64Decode(s string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	return string(b), err
}

func (s *stand) app(t *testing.T) oauth2.Config {
	t.Helper()
	return oauth2.Config{ClientID: "demo-app", Endpoint: s.provider(t).Endpoint(), RedirectURL: callback,
		Scopes: []string{"openid", "fhirUser", "launch/patient", "patient/Patient.rs"}}
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)

// page gets a consent page and returns the fields of its form.
func (s *stand) page(t *testing.T, address string) url.Values {
	t.Helper()
	resp, err := s.http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %v %s", resp.StatusCode, err, body)
	}
	form := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(string(body), -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	return form
}

// decide posts the form and returns where the browser is sent.
func (s *stand) decide(t *testing.T, form url.Values, decision string) (status int, to *url.URL) {
	t.Helper()
	form.Set("decision", decision)
	resp, err := s.http.PostForm(s.issuer.URL()+demo.AuthorizePath, form)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	to, _ = resp.Location()
	return resp.StatusCode, to
}

func (s *stand) code(t *testing.T, config oauth2.Config, verifier string) string {
	t.Helper()
	status, to := s.decide(t, s.page(t, config.AuthCodeURL("st&te", oauth2.S256ChallengeOption(verifier))), "approve")
	if status != http.StatusSeeOther || to.Query().Get("code") == "" {
		t.Fatalf("%d %v", status, to)
	}
	return to.Query().Get("code")
}

func TestAuthorizationCode(t *testing.T) {
	s := newStand(t)
	config := s.app(t)
	verifier := oauth2.GenerateVerifier()
	form := s.page(t, config.AuthCodeURL(`"><b>st&te`, oauth2.S256ChallengeOption(verifier), oidc.Nonce("n-1"), oauth2.SetAuthURLParam("aud", audience)))
	status, to := s.decide(t, form, "approve")
	q := to.Query()
	if status != http.StatusSeeOther || !strings.HasPrefix(to.String(), callback+"?") || q.Get("state") != `"><b>st&te` || q.Get("iss") != s.issuer.URL() {
		t.Fatalf("%d %v", status, to)
	}
	token, err := config.Exchange(s.ctx, q.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	claims := s.verify(t, token.AccessToken, audience)
	if claims["patient"] != "p-1" || token.Extra("patient") != "p-1" || claims["fhirUser"] != "Practitioner/prac-0100" || claims["client_id"] != "demo-app" ||
		claims["scope"] != "openid fhirUser launch/patient patient/Patient.rs" {
		t.Errorf("claims %v", claims)
	}
	id := s.verify(t, token.Extra("id_token").(string), "demo-app")
	if id["nonce"] != "n-1" || id["fhirUser"] != claims["fhirUser"] || id["sub"] != claims["sub"] {
		t.Errorf("id token %v", id)
	}
	// The page is used up, and so is the code.
	if status, _ := s.decide(t, form, "approve"); status != http.StatusBadRequest {
		t.Errorf("a page decided twice: %d", status)
	}
	if _, err := config.Exchange(s.ctx, q.Get("code"), oauth2.VerifierOption(verifier)); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("a code used twice: %v", err)
	}
}

func TestWithoutLaunchContext(t *testing.T) {
	s := newStand(t)
	config := s.app(t)
	config.Scopes = []string{"patient/Patient.rs"}
	config.RedirectURL = callback + "?app=1"
	verifier := oauth2.GenerateVerifier()
	token, err := config.Exchange(s.ctx, s.code(t, config, verifier), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if claims := s.verify(t, token.AccessToken, audience); claims["patient"] != nil || token.Extra("patient") != nil || token.Extra("id_token") != nil || claims["fhirUser"] != nil {
		t.Errorf("%v", claims)
	}
}

func TestConsentPage(t *testing.T) {
	s := newStand(t)
	config := s.app(t)
	address := config.AuthCodeURL(`"><script>alert(1)</script>`, oauth2.S256ChallengeOption(oauth2.GenerateVerifier()))
	resp, err := s.http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(resp.Body)
	body := string(raw)
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(body)
	sum := sha256.Sum256([]byte(style[1]))
	csp := resp.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") || !strings.Contains(csp, "form-action 'self' http://127.0.0.1:1;") {
		t.Errorf("policy %s", csp)
	}
	if strings.Contains(body, "<script") || !strings.Contains(body, `<html lang="en">`) || !strings.Contains(body, "<h1>") || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v %s", resp.Header, body)
	}

	if status, to := s.decide(t, s.page(t, address), "deny"); status != http.StatusSeeOther || to.Query().Get("error") != "access_denied" || to.Query().Has("code") {
		t.Errorf("deny: %d %v", status, to)
	}
	if status, to := s.decide(t, s.page(t, address), ""); to.Query().Get("error") != "access_denied" {
		t.Errorf("no decision: %d %v", status, to)
	}
	form := s.page(t, address)
	form.Set("state", "another")
	if status, to := s.decide(t, form, "approve"); status != http.StatusBadRequest || to != nil {
		t.Errorf("another state: %d %v", status, to)
	}
	if status, _ := s.decide(t, url.Values{"request": {"guess"}, "state": {""}}, "approve"); status != http.StatusBadRequest {
		t.Errorf("a guessed request: %d", status)
	}
	form = s.page(t, address)
	s.clock.advance(10 * time.Minute)
	if status, _ := s.decide(t, form, "approve"); status != http.StatusBadRequest {
		t.Errorf("an old page: %d", status)
	}
	form = s.page(t, address)
	form.Set("decision", "approve")
	r, _ := http.NewRequest(http.MethodPost, s.issuer.URL()+demo.AuthorizePath, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if resp, err := s.http.Do(r); err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form: %v %v", resp, err)
	}
}

// Whoever reaches the page can open it: what waits is bounded.
func TestConsentsAreBounded(t *testing.T) {
	s := newStand(t)
	config := s.app(t)
	address := config.AuthCodeURL("s", oauth2.S256ChallengeOption(oauth2.GenerateVerifier()))
	status := 0
	for range 1001 {
		resp, err := s.http.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		status = resp.StatusCode
	}
	if status != http.StatusSeeOther {
		t.Errorf("the 1001st page: %d", status)
	}
	s.clock.advance(10 * time.Minute)
	s.page(t, address)
}
