package smart_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/smart"
)

func metadata() smart.Metadata {
	return smart.Metadata{
		Issuer:        "https://login.example.org",
		JWKS:          "https://login.example.org/jwks",
		Authorization: "https://login.example.org/authorize",
		Token:         "https://login.example.org/token?tenant=a&b=<c>",
		Introspection: "https://login.example.org/introspect",
		GrantTypes:    []string{"client_credentials", "authorization_code"},
		AuthMethods:   []string{"private_key_jwt"},
		SigningAlgs:   []string{"RS384", "ES384"},
		ProofAlgs:     []string{"ES256"},
		Scopes:        []string{"user/Patient.rs", "openid", "fhirUser", "launch/patient", "user/Patient.rs"},
		Capabilities:  []string{"launch-standalone"},
	}
}

func TestConfiguration(t *testing.T) {
	got, err := smart.Configuration(metadata())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"issuer":"https://login.example.org","jwks_uri":"https://login.example.org/jwks",` +
		`"authorization_endpoint":"https://login.example.org/authorize",` +
		`"grant_types_supported":["authorization_code","client_credentials"],` +
		`"token_endpoint":"https://login.example.org/token?tenant=a&b=<c>",` +
		`"token_endpoint_auth_methods_supported":["private_key_jwt"],` +
		`"token_endpoint_auth_signing_alg_values_supported":["ES384","RS384"],"dpop_signing_alg_values_supported":["ES256"],` +
		`"scopes_supported":["fhirUser","launch/patient","openid","user/Patient.rs"],` +
		`"response_types_supported":["code"],"introspection_endpoint":"https://login.example.org/introspect",` +
		`"capabilities":["client-confidential-asymmetric","context-standalone-patient","launch-standalone","permission-user","permission-v1","permission-v2","sso-openid-connect"],` +
		`"code_challenge_methods_supported":["S256"]}` + "\n"
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	m := metadata()
	slices.Reverse(m.Scopes)
	slices.Reverse(m.GrantTypes)
	if again, _ := smart.Configuration(m); string(again) != want {
		t.Errorf("another order of the input changes the document: %s", again)
	}
}

func TestConfigurationCapabilities(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*smart.Metadata)
		want   string
		issuer bool
	}{
		{"nothing but tokens", func(m *smart.Metadata) {
			*m = smart.Metadata{Token: "https://a.example/t", GrantTypes: []string{"client_credentials"}}
		}, "permission-v1 permission-v2", false},
		{"no single sign-on without openid", func(m *smart.Metadata) {
			m.Scopes, m.Capabilities = []string{"patient/*.rs", "offline_access", "online_access"}, nil
		}, "client-confidential-asymmetric permission-offline permission-online permission-patient permission-v1 permission-v2", false},
		{"launches", func(m *smart.Metadata) {
			m.Scopes, m.Capabilities = smart.LaunchScopes([]string{"launch", "launch/encounter", "launch/other", "internal:admin", "user/*.rs"}), nil
		}, "client-confidential-asymmetric context-standalone-encounter launch-ehr launch-standalone permission-v1 permission-v2", false},
		{"no launches without codes", func(m *smart.Metadata) {
			m.Scopes, m.Capabilities, m.GrantTypes = []string{"launch", "launch/patient"}, nil, []string{"client_credentials"}
		}, "client-confidential-asymmetric permission-v1 permission-v2", false},
		{"secrets and public apps", func(m *smart.Metadata) {
			m.Scopes, m.Capabilities, m.AuthMethods = nil, nil, []string{"client_secret_basic", "none"}
		}, "client-confidential-symmetric client-public permission-v1 permission-v2", false},
		{"stated single sign-on", func(m *smart.Metadata) {
			m.Scopes, m.Capabilities, m.AuthMethods = nil, []string{"sso-openid-connect"}, nil
		}, "permission-v1 permission-v2 sso-openid-connect", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := metadata()
			c.change(&m)
			doc, err := smart.Configuration(m)
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Issuer       string   `json:"issuer"`
				Capabilities []string `json:"capabilities"`
			}
			if err := json.Unmarshal(doc, &got); err != nil {
				t.Fatal(err)
			}
			if strings.Join(got.Capabilities, " ") != c.want || (got.Issuer != "") != c.issuer {
				t.Errorf("capabilities %q, issuer %q", got.Capabilities, got.Issuer)
			}
		})
	}
}

func TestConfigurationRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*smart.Metadata)
		want   string
	}{
		{"relative", func(m *smart.Metadata) { m.Token = "/token" }, "token_endpoint"},
		{"no scheme", func(m *smart.Metadata) { m.Token = "//login.example.org/token" }, "token_endpoint"},
		{"http", func(m *smart.Metadata) { m.JWKS = "http://login.example.org/jwks" }, "jwks_uri"},
		{"another scheme", func(m *smart.Metadata) { m.JWKS = "file:///jwks" }, "jwks_uri"},
		{"password", func(m *smart.Metadata) { m.Authorization = "https://a:b@login.example.org" }, "authorization_endpoint"},
		{"fragment", func(m *smart.Metadata) { m.Introspection += "#" }, "introspection_endpoint"},
		{"not a URL", func(m *smart.Metadata) { m.Revocation = "https://%zz" }, "revocation_endpoint"},
		{"no token endpoint", func(m *smart.Metadata) { m.Token = "" }, "token_endpoint is required"},
		{"no authorization endpoint", func(m *smart.Metadata) { m.Authorization = "" }, "authorization_endpoint is required"},
		{"no grant types", func(m *smart.Metadata) { m.GrantTypes = nil }, "grant_types_supported is required"},
		{"malformed data scope", func(m *smart.Metadata) { m.Scopes = []string{"user/Patient.sr"} }, `"user/Patient.sr" is not a scope`},
		{"scope with a space", func(m *smart.Metadata) { m.Scopes = []string{"open id"} }, `"open id" is not a scope`},
		{"capability with a space", func(m *smart.Metadata) { m.Capabilities = []string{""} }, `"" is not a name`},
		{"sign-on without an issuer", func(m *smart.Metadata) {
			m.Issuer, m.Capabilities = "", []string{"sso-openid-connect"}
		}, "issuer is required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := metadata()
			c.change(&m)
			doc, err := smart.Configuration(m)
			if err == nil || !strings.Contains(err.Error(), c.want) || doc != nil {
				t.Errorf("got %s, %v, want an error with %q", doc, err, c.want)
			}
		})
	}
	m := metadata()
	m.Token, m.JWKS = "http://127.0.0.1:9/token", "http://localhost/jwks"
	if _, err := smart.Configuration(m); err != nil {
		t.Errorf("loopback: %v", err)
	}
}
