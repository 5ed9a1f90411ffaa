package demo

import (
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A consent is an authorization request that waits for a decision.
type consent struct {
	grant
	state string
}

// A grant is what a code stands for.
type grant struct {
	client, redirect, challenge, nonce string
	scopes                             []string
}

// ask shows the consent page. As long as client and redirect URI are not known
// to fit, nothing is sent anywhere (RFC 6749, section 4.1.2.1).
func (i *Issuer) ask(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	c := i.clients[q.Get("client_id")]
	redirect := q.Get("redirect_uri")
	if c == nil || !slices.Contains(c.RedirectURIs, redirect) || len(q["client_id"]) > 1 || len(q["redirect_uri"]) > 1 {
		i.problem(w, http.StatusBadRequest, "This app is not known here, or asks to be answered at an address that is not its own.")
		return
	}
	asked, e := i.understand(c, q)
	if e != nil {
		i.reply(w, redirect, url.Values{"error": {e.code}, "error_description": {e.description}}, q.Get("state"))
		return
	}
	id, err := i.secret()
	if err != nil || !i.consents.put(id, *asked, i.now(), consentLife) {
		i.reply(w, redirect, url.Values{"error": {"temporarily_unavailable"}}, q.Get("state"))
		return
	}
	i.consentPage(w, id, asked, c)
}

// understand checks the rest of a request by RFC 6749, section 4.1.1, RFC 7636 and
// SMART App Launch 2.2.
func (i *Issuer) understand(c *Client, q url.Values) (*consent, *oauthError) {
	for _, values := range q {
		if len(values) > 1 {
			return nil, invalid("invalid_request", "a parameter is given twice")
		}
		if len(values[0]) > 4096 {
			return nil, invalid("invalid_request", "a parameter is too long")
		}
	}
	challenge, err := base64.RawURLEncoding.DecodeString(q.Get("code_challenge"))
	granted, refused := c.allowed(q.Get("scope"))
	aud := strings.TrimSuffix(q.Get("aud"), "/")
	switch {
	case q.Has("request") || q.Has("request_uri"):
		return nil, invalid("request_not_supported", "request objects are not read here")
	case q.Get("response_type") != "code":
		return nil, invalid("unsupported_response_type", "response_type is code")
	case q.Has("response_mode") && q.Get("response_mode") != "query":
		return nil, invalid("invalid_request", "response_mode is query")
	case q.Get("state") == "":
		return nil, invalid("invalid_request", "state is missing")
	case q.Get("code_challenge_method") != "S256" || err != nil || len(challenge) != 32:
		// Without a method a challenge is plain (RFC 7636, section 4.3).
		return nil, invalid("invalid_request", "PKCE with S256 is required")
	case aud != "" && aud != strings.TrimSuffix(i.audience, "/"), q.Has("resource") && q.Get("resource") != i.audience:
		return nil, invalid("invalid_target", "tokens are for "+i.audience)
	case refused != "":
		return nil, invalid("invalid_scope", "this client may not ask for "+printable(refused))
	case q.Get("prompt") == "none":
		return nil, invalid("consent_required", "somebody has to approve")
	}
	return &consent{grant{c.ID, q.Get("redirect_uri"), q.Get("code_challenge"), q.Get("nonce"), granted}, q.Get("state")}, nil
}

// decide takes the consent page's form. The form names its request by a secret
// that only the page had, and repeats the app's state; each page decides once.
func (i *Issuer) decide(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	if http.NewCrossOriginProtection().Check(r) != nil {
		i.problem(w, http.StatusForbidden, "Another site sent this form.")
		return
	}
	asked, ok := i.consents.take(r.PostFormValue("request"), i.now())
	if !ok || subtle.ConstantTimeCompare([]byte(r.PostFormValue("state")), []byte(asked.state)) != 1 {
		i.problem(w, http.StatusBadRequest, "This page is no longer good. Please start again in the app.")
		return
	}
	if r.PostFormValue("decision") != "approve" {
		i.reply(w, asked.redirect, url.Values{"error": {"access_denied"}}, asked.state)
		return
	}
	code, err := i.secret()
	if err != nil || !i.codes.put(code, asked.grant, i.now(), codeLife) {
		i.reply(w, asked.redirect, url.Values{"error": {"temporarily_unavailable"}}, asked.state)
		return
	}
	i.reply(w, asked.redirect, url.Values{"code": {code}}, asked.state)
}

// reply sends the browser back to the app. iss tells the app which server
// answered (RFC 9207).
func (i *Issuer) reply(w http.ResponseWriter, redirect string, answer url.Values, state string) {
	if state != "" {
		answer.Set("state", state)
	}
	answer.Set("iss", i.url)
	separator := "?"
	if strings.Contains(redirect, "?") {
		separator = "&"
	}
	h := w.Header()
	h.Set("Location", redirect+separator+answer.Encode())
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusSeeOther)
}
