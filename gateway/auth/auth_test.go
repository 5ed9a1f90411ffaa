package auth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/gateway/auth"
)

func TestChallenge(t *testing.T) {
	for code, want := range map[string]string{
		auth.CodeMissing: "", auth.CodeUnavailable: "", auth.CodeHeader: "invalid_request",
		auth.CodeExpired: "invalid_token", auth.CodeMalformed: "invalid_token", auth.CodeTooLong: "invalid_token",
	} {
		if got := (&auth.Error{Code: code}).Challenge(); got != want {
			t.Errorf("%s: %q, want %q", code, got, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good := auth.Issuer{URL: "https://a.example", Audiences: []string{audience}}
	with := func(change func(*auth.Issuer)) auth.Options {
		i := good
		change(&i)
		return auth.Options{Issuers: []auth.Issuer{i}}
	}
	for _, c := range []struct {
		name string
		o    auth.Options
		want string
	}{
		{"no issuers", auth.Options{}, "no issuers"},
		{"twice", auth.Options{Issuers: []auth.Issuer{good, good}}, "named twice"},
		{"http", with(func(i *auth.Issuer) { i.URL = "http://a.example" }), "https URL"},
		{"relative", with(func(i *auth.Issuer) { i.URL = "a.example" }), "https URL"},
		{"query", with(func(i *auth.Issuer) { i.URL += "?a=b" }), "https URL"},
		{"fragment", with(func(i *auth.Issuer) { i.URL += "#" }), "https URL"},
		{"password", with(func(i *auth.Issuer) { i.URL = "https://a:b@a.example" }), "https URL"},
		{"no audience", with(func(i *auth.Issuer) { i.Audiences = nil }), "audience"},
		{"empty audience", with(func(i *auth.Issuer) { i.Audiences = []string{""} }), "audience"},
		{"none", with(func(i *auth.Issuer) { i.Algorithms = []string{"RS256", "none"} }), `"none" is not`},
		{"HS256", with(func(i *auth.Issuer) { i.Algorithms = []string{"HS256"} }), `"HS256" is not`},
		{"skew", with(func(i *auth.Issuer) { i.ClockSkew = time.Hour }), "clock skew"},
		{"negative skew", with(func(i *auth.Issuer) { i.ClockSkew = -1 }), "clock skew"},
		{"ages", auth.Options{Issuers: []auth.Issuer{good}, KeysFresh: time.Hour, KeysMaxAge: time.Minute}, "out of use"},
		{"negative", auth.Options{Issuers: []auth.Issuer{good}, Timeout: -1}, "negative"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if a, err := auth.New(c.o); err == nil || a != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("New = %v, %v, want an error with %q", a, err, c.want)
			}
		})
	}
	o := auth.Options{Issuers: []auth.Issuer{{URL: "x", Algorithms: []string{"none"}}, {URL: "y"}}}
	if _, err := auth.New(o); strings.Count(err.Error(), "\n") != 4 {
		t.Errorf("not every problem is told: %v", err)
	}
}
