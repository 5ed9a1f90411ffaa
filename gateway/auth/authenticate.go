package auth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// remembered is how long a verified token is believed without being verified again.
const remembered = 5 * time.Minute

// known is a token that is good, whoever presents it.
func (a *Authenticator) known(ctx context.Context, raw, tenant string) (verified, *Error) {
	var buf [2048]byte // most tokens fit, and are hashed without an allocation
	sum := sha256.Sum256(append(buf[:0], raw...))
	if i := a.introspecting(tenant); i != nil && opaque(raw) {
		return i.lookup(ctx, raw, sum)
	}
	if v, ok := a.memory.get(sum, a.now()); ok {
		if set, err := v.source.current(ctx); err == nil && set.holds(v.key) {
			return v, nil
		}
	}
	v, refused := a.verify(ctx, raw)
	if refused != nil {
		return verified{}, refused
	}
	a.memory.add(sum, v)
	return v, nil
}

// introspecting is the issuer that is asked about a tenant's opaque tokens; nil for none.
func (a *Authenticator) introspecting(tenant string) *introspector {
	for _, s := range a.order {
		if s.opaque != nil && s.opens(tenant) {
			return s.opaque
		}
	}
	return nil
}

// shares reports whether there is a tenant whose EHRs both issuers' tokens open.
func (s *source) shares(other *source) bool {
	return len(s.cfg.Tenants) == 0 || len(other.cfg.Tenants) == 0 ||
		slices.ContainsFunc(s.cfg.Tenants, other.opens)
}

// opens reports whether the issuer's tokens are for a tenant's EHRs.
func (s *source) opens(tenant string) bool {
	return len(s.cfg.Tenants) == 0 || slices.Contains(s.cfg.Tenants, tenant)
}

// verify does everything that there is to check about a token. Until the signature was
// found good, a refusal tells its sender nothing that the token does not say itself.
func (a *Authenticator) verify(ctx context.Context, raw string) (verified, *Error) {
	t, refused := parse(raw)
	if refused != nil {
		return verified{}, refused
	}
	s := a.sources[t.claims.Issuer]
	if s == nil {
		return verified{}, refuse(CodeIssuer)
	}
	alg := t.header.Alg
	if !slices.Contains(s.cfg.Algorithms, alg) {
		return verified{}, s.fail(CodeAlgorithm)
	}
	if t.header.Kid == "" {
		return verified{}, s.fail(CodeKey) // any key would do, and a rotation would go unseen
	}
	now := a.now()
	if e := t.claims.timely(now, s.cfg.ClockSkew); e != nil {
		return verified{}, s.fail(e.Code)
	}

	keys, refused := s.find(ctx, t.header.Kid)
	if refused != nil {
		return verified{}, refused
	}
	k, code := t.signed(ctx, s, keys)
	if code != "" {
		return verified{}, s.fail(code)
	}

	switch c := &t.claims; {
	case t.header.Cty != "", s.cfg.RequireType && !typed(t.header.Typ), !c.accessToken(t.header.Typ):
		return verified{}, s.fail(CodeType)
	case !c.meant(s.cfg.Audiences):
		return verified{}, s.fail(CodeAudience)
	}
	bound, ok := confirm(t.claims.Confirm)
	if !ok {
		return verified{}, s.fail(CodeBinding)
	}
	caller, refused := t.claims.caller(t.payload, s.cfg.Claims)
	if refused != nil {
		return verified{}, s.fail(refused.Code)
	}
	until := caller.Expires.Add(s.cfg.ClockSkew)
	if limit := now.Add(remembered); limit.Before(until) {
		until = limit
	}
	caller.DPoP, caller.MTLS = bound.key != "", bound.certificate != ""
	return verified{caller: caller, source: s, key: k, confirm: bound, until: until}, nil
}

// typed reports whether a token's header says that it is an access token (RFC 9068, section
// 2.1).
func typed(typ string) bool {
	return strings.TrimPrefix(strings.ToLower(typ), "application/") == "at+jwt"
}

// signed is the key by which the token is signed, or the code of what is wrong. Keys
// share an id only where an issuer was careless; each that fits is tried.
func (t *token) signed(ctx context.Context, s *source, keys []*key) (*key, string) {
	code := CodeKey
	for _, k := range keys {
		if !k.fits(t.header.Alg) {
			continue
		}
		code = CodeSignature
		p := pinned{key: k, alg: t.header.Alg}
		_, err := oidc.NewVerifier(s.url, &p, s.config()).Verify(ctx, t.raw)
		switch {
		case p.payload == nil:
		case err != nil, !bytes.Equal(p.payload, t.payload):
			return nil, CodeClaims // go-oidc reads the claims otherwise than was done here
		default:
			return k, ""
		}
	}
	return nil, code
}
