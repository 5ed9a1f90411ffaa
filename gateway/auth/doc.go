// Package auth turns the Authorization header of a call into its caller.
//
// A caller is who a JWT access token says, after everything about the token was
// checked: RFC 9068 (JWT profile for access tokens) where the issuer follows it, and
// the common practice of others where that loses nothing; RFC 6750 for the header,
// RFC 7519, 7515 and 7517 for the token and the keys, OpenID Connect Discovery 1.0
// for where the keys are, RFC 8725 (best current practices) throughout.
//
// Refused, each by a code of its own ([Error]): no token, or more than one; a token
// that is too long, is no JWT, is encrypted, or says something twice; an issuer, an
// audience or an algorithm that the configuration does not name; symmetric algorithms
// and "none" always, for they cannot be configured; critical extensions; keys that the
// token brings along or points to; a key that the issuer does not publish; a wrong
// signature; expired, not yet valid; an ID, refresh or logout token in place of an
// access token; a token of another tenant's issuer; a token bound to a key (DPoP, RFC 9449)
// or to a client certificate (RFC 8705) that is presented without its proof.
//
// Issuers are asked lazily, each by itself, never by two fetches at once, never for
// longer than a timeout, and ever less often while they fail:
//   - Keys are refreshed in the background as they age. When an issuer cannot be asked
//     its last good keys go on up to a maximum age; tokens by other keys are refused as
//     issuer-unavailable, for they may be good.
//   - A key id that is not known makes the issuer be asked at once, so that a rotation
//     refuses nobody; one that the issuer does not know either stops this for an
//     interval, so that a flood of invented key ids costs one fetch per interval.
//
// An opaque token is asked about (RFC 7662) where its tenant's issuer can be: one question
// for each token at a time, so many at once, a pause after failures in a row, and no answer
// believed for longer than configured, a minute at most, good or bad.
//
// A verified token is remembered by its SHA-256, for five minutes at most, and no
// longer than it is valid and its key is published. A refused one is not. What binds it to
// its sender is proven at every call.
package auth
