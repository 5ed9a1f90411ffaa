package demo

import (
	"encoding/json"
	"net/http"
	"slices"
)

// discovery answers RFC 8414 and OpenID Connect Discovery 1.0, whose documents are
// the same here.
func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	known := map[string]bool{}
	for _, c := range i.clients {
		for _, s := range c.Scopes {
			known[s] = true
		}
	}
	all := make([]string, 0, len(known))
	for s := range known {
		all = append(all, s)
	}
	slices.Sort(all)
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                         i.url,
		"authorization_endpoint":                         i.url + AuthorizePath,
		"token_endpoint":                                 i.url + TokenPath,
		"jwks_uri":                                       i.url + KeysPath,
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          []string{"authorization_code", "client_credentials"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{ES256, RS256},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "client_secret_post", "none"},
		"code_challenge_methods_supported":               []string{"S256"},
		"scopes_supported":                               all,
		"claims_supported":                               []string{"iss", "sub", "aud", "exp", "iat", "nonce", "fhirUser"},
		"authorization_response_iss_parameter_supported": true,
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // the client is gone where this fails
}
