package demo

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// An oauthError is an answer of RFC 6749, section 5.2 or 4.1.2.1.
type oauthError struct {
	status            int
	code, description string
}

func (e *oauthError) Error() string { return e.code + ": " + e.description }

func invalid(code, description string) *oauthError {
	return &oauthError{http.StatusBadRequest, code, description}
}

// token is the token endpoint.
func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	answer, err := i.exchange(r)
	if err == nil {
		writeJSON(w, http.StatusOK, answer)
		return
	}
	var e *oauthError
	if !errors.As(err, &e) {
		e = &oauthError{http.StatusInternalServerError, "server_error", "no token can be made now"}
	}
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="token", charset="UTF-8"`)
	}
	writeJSON(w, e.status, map[string]string{"error": e.code, "error_description": e.description})
}

func (i *Issuer) exchange(r *http.Request) (map[string]any, error) {
	form, err := tokenForm(r)
	if err != nil {
		return nil, err
	}
	c, err := i.authenticate(r, form)
	if err != nil {
		return nil, err
	}
	if resource := form.Get("resource"); resource != "" && resource != i.audience { // RFC 8707
		return nil, invalid("invalid_target", "tokens are for "+i.audience)
	}
	switch form.Get("grant_type") {
	case "client_credentials":
		if c.Secret == "" {
			return nil, invalid("unauthorized_client", "a public client has no credentials")
		}
		granted, refused := c.allowed(form.Get("scope"))
		if refused != "" {
			return nil, invalid("invalid_scope", "this client may not ask for "+printable(refused))
		}
		return i.answer(c, c.ID, granted)
	case "authorization_code":
		return i.redeem(c, form)
	case "":
		return nil, invalid("invalid_request", "grant_type is missing")
	}
	return nil, invalid("unsupported_grant_type", "grants are client_credentials and authorization_code")
}

// tokenForm reads the body. Parameters in the query would end in logs, and a
// parameter given twice is read differently by different readers (RFC 6749,
// section 3.2), so both are refused.
func tokenForm(r *http.Request) (url.Values, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, invalid("invalid_request", "the body is application/x-www-form-urlencoded")
	}
	if err := r.ParseForm(); err != nil {
		return nil, invalid("invalid_request", "the body cannot be read")
	}
	if r.URL.RawQuery != "" {
		return nil, invalid("invalid_request", "parameters go in the body")
	}
	for _, values := range r.PostForm {
		if len(values) > 1 {
			return nil, invalid("invalid_request", "a parameter is given twice")
		}
	}
	return r.PostForm, nil
}

// authenticate follows RFC 6749, section 2.3.1: by header or body, not by both.
func (i *Issuer) authenticate(r *http.Request, form url.Values) (*Client, error) {
	refused := &oauthError{http.StatusUnauthorized, "invalid_client", "client id or secret is wrong"}
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if header := r.Header.Values("Authorization"); len(header) > 0 {
		user, password, ok := r.BasicAuth()
		if !ok || len(header) > 1 {
			return nil, refused
		}
		user, userErr := url.QueryUnescape(user)
		password, passwordErr := url.QueryUnescape(password)
		if userErr != nil || passwordErr != nil {
			return nil, refused
		}
		if secret != "" || id != "" && id != user {
			return nil, invalid("invalid_request", "a client authenticates in one way")
		}
		id, secret = user, password
	}
	c := i.clients[id]
	if c.authentic(secret) {
		return c, nil
	}
	if c != nil && c.Secret == "" && secret == "" {
		return c, nil // public; PKCE stands in (RFC 8252, section 8.5)
	}
	return nil, refused
}

// redeem takes a code. It is used up by the first client that shows it, whether or
// not the rest fits: a code that was tried wrongly has leaked.
func (i *Issuer) redeem(c *Client, form url.Values) (map[string]any, error) {
	g, ok := i.codes.take(form.Get("code"), i.now())
	verifier := form.Get("code_verifier")
	sum := sha256.Sum256([]byte(verifier))
	proof := base64.RawURLEncoding.EncodeToString(sum[:])
	switch {
	case !ok:
		return nil, invalid("invalid_grant", "the code is unknown, used or expired")
	case g.client != c.ID:
		return nil, invalid("invalid_grant", "the code is another client's")
	case form.Get("redirect_uri") != g.redirect:
		return nil, invalid("invalid_grant", "redirect_uri is not the one that was asked with")
	case !validVerifier(verifier) || subtle.ConstantTimeCompare([]byte(proof), []byte(g.challenge)) != 1:
		return nil, invalid("invalid_grant", "code_verifier does not fit")
	}
	answer, err := i.answer(c, c.user(), g.scopes)
	if err != nil {
		return nil, err
	}
	if slices.Contains(g.scopes, "openid") {
		if answer["id_token"], err = i.idToken(c, &g); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// validVerifier is the grammar of RFC 7636, section 4.1.
func validVerifier(s string) bool {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	return len(s) >= 43 && len(s) <= 128 && strings.Trim(s, unreserved) == ""
}

func (i *Issuer) answer(c *Client, subject string, granted []string) (map[string]any, error) {
	token, err := i.accessToken(c, subject, granted, TokenOptions{})
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(i.ttl / time.Second), "scope": strings.Join(granted, " ")}
	if patient := c.patient(granted); patient != "" {
		answer["patient"] = patient
	}
	return answer, nil
}

// printable keeps what error_description may hold (RFC 6749, section 5.2), and not
// too much of it.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 80)]
}
