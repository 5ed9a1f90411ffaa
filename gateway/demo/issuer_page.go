package demo

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
)

const pageStyle = `:root{color-scheme:light dark;font:1.1rem/1.5 system-ui,sans-serif}body{margin:0 auto;max-width:36rem;padding:1.5rem}` +
	`code{overflow-wrap:anywhere}button{font:inherit;padding:.6rem 1.2rem;margin:.5rem .5rem 0 0;min-height:2.75rem}button:focus-visible{outline:3px solid;outline-offset:2px}`

var pages = template.Must(template.New("head").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}} – Halfdoor demo</title>
<style>{{.Style}}</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
{{if .Problem}}<p role="alert">{{.Problem}}</p>
{{else}}<p>The app <strong>{{.Client}}</strong> asks to act for <strong>{{.User}}</strong> with these permissions:</p>
<ul>
{{range .Scopes}}<li><code>{{.}}</code></li>
{{end}}</ul>
{{if .Patient}}<p>Patient in context: <code>{{.Patient}}</code></p>
{{end}}<p>You will be sent to <code>{{.Redirect}}</code>.</p>
<form method="post" action="{{.Action}}">
<input type="hidden" name="request" value="{{.Request}}">
<input type="hidden" name="state" value="{{.State}}">
<button type="submit" name="decision" value="approve">Approve</button>
<button type="submit" name="decision" value="deny">Deny</button>
</form>
{{end}}<p><small>A demo: nobody logs in here, and all patients are invented.</small></p>
</main>
</body>
</html>
`))

type page struct {
	Title, Problem                                          string
	Client, User, Patient, Redirect, Request, State, Action string
	Scopes                                                  []string
	Style                                                   template.CSS
}

func (i *Issuer) consentPage(w http.ResponseWriter, id string, asked *consent, c *Client) {
	target := ""
	if u, err := url.Parse(asked.redirect); err == nil {
		// Browsers hold form-action against the redirect that follows the form, too.
		target = u.Scheme + "://" + u.Host
	}
	i.show(w, http.StatusOK, target, page{Title: "Allow access?", Client: c.ID, User: c.user(), Patient: c.patient(asked.scopes),
		Redirect: asked.redirect, Request: id, State: asked.state, Action: AuthorizePath, Scopes: asked.scopes})
}

func (i *Issuer) problem(w http.ResponseWriter, status int, text string) {
	i.show(w, status, "", page{Title: "This did not work", Problem: text})
}

func (i *Issuer) show(w http.ResponseWriter, status int, formTarget string, p page) {
	p.Style = pageStyle
	var b bytes.Buffer
	if err := pages.Execute(&b, p); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	style := sha256.Sum256([]byte(pageStyle))
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(style[:])+
		"'; form-action 'self' "+formTarget+"; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}
