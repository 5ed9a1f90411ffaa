package auth

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/smart"
)

// claims are those that have a fixed name: RFC 7519, RFC 9068, OpenID Connect Core 1.0,
// SMART App Launch 2.2. Values that are only looked at for their presence stay unread.
type claims struct {
	Issuer    string         `json:"iss"`
	Subject   string         `json:"sub"`
	Audience  list           `json:"aud"`
	Expiry    *float64       `json:"exp"`
	NotBefore *float64       `json:"nbf"`
	IssuedAt  *float64       `json:"iat"`
	ID        string         `json:"jti"`
	ClientID  string         `json:"client_id"`
	Party     string         `json:"azp"`
	Scope     list           `json:"scope"`
	Scp       list           `json:"scp"`
	Typ       string         `json:"typ"`
	TokenUse  string         `json:"token_use"`
	Nonce     jsontext.Value `json:"nonce"`
	AtHash    jsontext.Value `json:"at_hash"`
	CHash     jsontext.Value `json:"c_hash"`
	SHash     jsontext.Value `json:"s_hash"`
	Events    jsontext.Value `json:"events"`
	Confirm   jsontext.Value `json:"cnf"`
}

// errKind only marks a claim as being of the wrong kind; its text goes nowhere.
var errKind = errors.New("wrong kind")

// list is a claim that may be a string or an array of strings.
type list []string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (l *list) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	t, err := dec.ReadToken()
	if err != nil {
		return err
	}
	*l = nil
	switch t.Kind() {
	case 'n':
		return nil
	case '"':
		*l = list{t.String()}
		return nil
	case '[':
		*l = list{}
	default:
		return errKind
	}
	for dec.PeekKind() == '"' {
		t, err := dec.ReadToken()
		if err != nil {
			return err
		}
		*l = append(*l, t.String())
	}
	if t, err = dec.ReadToken(); err != nil {
		return err
	}
	if t.Kind() != ']' {
		return errKind
	}
	return nil
}

// timely checks the time claims. It needs no signature: it tells a sender what its token
// says, and spares the issuer a question about the keys of yesterday.
func (c *claims) timely(now time.Time, skew time.Duration) *Error {
	if c.Expiry == nil {
		return refuse(CodeClaims) // RFC 9068, section 2.2: exp is required
	}
	for _, t := range []*float64{c.Expiry, c.NotBefore, c.IssuedAt} {
		if t != nil && !(*t >= 0 && *t < 1<<38) { // the year 10680
			return refuse(CodeClaims)
		}
	}
	switch {
	case !now.Before(date(c.Expiry).Add(skew)):
		return refuse(CodeExpired)
	case c.NotBefore != nil && now.Add(skew).Before(date(c.NotBefore)),
		c.IssuedAt != nil && now.Add(skew).Before(date(c.IssuedAt)):
		return refuse(CodeEarly)
	}
	return nil
}

// date drops fractions of a second: a token ends early rather than late.
func date(t *float64) time.Time { return time.Unix(int64(*t), 0) }

// accessToken tells an access token from the issuer's other tokens (RFC 8725, section
// 3.12). Where it says that it is one, that counts; else what only an ID or logout token
// has speaks against it: nonce, at_hash, c_hash, s_hash, events. An ID token may have none
// of these, but then its aud is the client itself (OpenID Connect Core 1.0, section 2), and
// it has no scopes. auth_time, acr, sid and the user's name tell nothing: access tokens
// have them too (RFC 9068, section 2.2).
func (c *claims) accessToken(typ string) bool {
	said := typed(typ)
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "at+jwt", "jwt", "":
	default:
		return false
	}
	switch strings.ToLower(c.Typ) { // Keycloak
	case "bearer":
		said = true
	case "id", "refresh", "offline", "logout":
		return false
	}
	switch c.TokenUse { // Amazon Cognito; Ory Hydra
	case "access", "access_token":
		said = true
	case "":
	default:
		return false
	}
	forClient := c.Scope == nil && c.Scp == nil && c.meant([]string{c.client()})
	return said || !forClient && c.Nonce == nil && c.AtHash == nil && c.CHash == nil && c.SHash == nil && c.Events == nil
}

// client is to whom the token was issued: client_id (RFC 9068, section 2.2), else azp.
func (c *claims) client() string {
	if c.ClientID != "" {
		return c.ClientID
	}
	return c.Party
}

// meant reports whether the token is for one of the audiences.
func (c *claims) meant(audiences []string) bool {
	return slices.ContainsFunc(c.Audience, func(a string) bool { return slices.Contains(audiences, a) })
}

// caller is who the verified payload says. The vault keys tokens by client and the log
// names the subject: without both there is no caller.
func (c *claims) caller(payload []byte, paths Claims) (*Caller, *Error) {
	client := c.client()
	if c.Subject == "" || client == "" {
		return nil, refuse(CodeClaims)
	}
	scope := c.Scope
	if scope == nil {
		scope = c.Scp
	}
	out := &Caller{
		Subject:  c.Subject,
		Issuer:   c.Issuer,
		ClientID: client,
		TokenID:  c.ID,
		Expires:  date(c.Expiry),
		Grant: smart.Grant{
			Scopes: smart.ParseScopes(strings.Join(scope, " ")),
		},
	}
	for _, s := range []struct {
		path string
		into *string
	}{{paths.Patient, &out.Grant.Patient}, {paths.Encounter, &out.Grant.Encounter}, {paths.FHIRUser, &out.Grant.FHIRUser}} {
		switch found := gjson.GetBytes(payload, s.path); found.Type {
		case gjson.Null: // also where there is nothing
		case gjson.String:
			*s.into = strings.Clone(found.Str)
		default: // a launch context that is not understood holds the call to nobody
			return nil, refuse(CodeClaims)
		}
	}
	for _, id := range []string{out.Grant.Patient, out.Grant.Encounter} {
		if id != "" && !fhir.ValidID(id) {
			return nil, refuse(CodeClaims)
		}
	}
	for _, path := range []string{paths.Roles, paths.Groups} {
		found, ok := texts(payload, path)
		if !ok {
			return nil, refuse(CodeClaims)
		}
		out.Roles = append(out.Roles, found...)
	}
	for _, s := range []struct {
		path string
		into *string
	}{{paths.Ticket, &out.TicketID}, {paths.Category, &out.TicketCategory}, {paths.Purpose, &out.Purpose}} {
		found, ok := texts(payload, s.path)
		if !ok || len(found) > 1 {
			return nil, refuse(CodeClaims)
		}
		if len(found) == 1 {
			*s.into = found[0]
		}
	}
	return out, nil
}

// texts are the strings at a path: one, or an array of them. A number counts as it is
// written, for tickets are numbered. Anything else there is not understood.
func texts(payload []byte, path string) ([]string, bool) {
	if path == "" {
		return nil, true
	}
	found := gjson.GetBytes(payload, path)
	values := []gjson.Result{found}
	if found.IsArray() {
		values = found.Array()
	}
	var out []string
	for _, v := range values {
		switch v.Type {
		case gjson.Null: // also where there is nothing
		case gjson.String:
			out = append(out, strings.Clone(v.Str))
		case gjson.Number:
			out = append(out, strings.Clone(v.Raw))
		default:
			return nil, false
		}
	}
	return out, true
}
