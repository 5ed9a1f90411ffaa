package auth

import "strings"

// The codes of an Error. They are stable: clients, records and alarms name them.
const (
	CodeMissing     = "token-missing"       // no Authorization header, or another scheme
	CodeHeader      = "header-malformed"    // several Authorization headers, or not one token
	CodeTooLong     = "token-too-long"      // over Options.TokenBytes
	CodeMalformed   = "token-malformed"     // no JWT in compact form, or not JSON inside
	CodeEncrypted   = "token-encrypted"     // a JWE
	CodeDuplicate   = "token-duplicate"     // a JSON member twice
	CodeIssuer      = "token-issuer"        // not one of the configured issuers
	CodeAlgorithm   = "token-algorithm"     // none, symmetric, or not allowed for the issuer
	CodeCritical    = "token-critical"      // demands an extension (crit, b64)
	CodeEmbeddedKey = "token-embedded-key"  // brings or points to a key (jwk, jku, x5c, x5u)
	CodeKey         = "token-key"           // names no key, or one that the issuer does not publish for the algorithm
	CodeSignature   = "token-signature"     // does not verify
	CodeType        = "token-type"          // no access token
	CodeExpired     = "token-expired"       // exp
	CodeEarly       = "token-not-yet-valid" // nbf, or iat in the future
	CodeAudience    = "token-audience"      // for another resource server
	CodeInactive    = "token-inactive"      // an opaque token that its issuer does not know, or not any more
	CodeTenant      = "token-tenant"        // of an issuer whose tokens do not open this tenant's EHRs
	CodeBinding     = "token-binding"       // bound (cnf) otherwise than it is presented, or in a way that is not known
	CodeCertificate = "token-certificate"   // bound to a certificate that is not the connection's
	CodeClaims      = "token-claims"        // lacks a claim, or has one of the wrong kind
	CodeUnavailable = "issuer-unavailable"  // the issuer's keys cannot be had: try again

	// Of a DPoP proof, in the order in which they are checked.
	CodeProofMissing   = "dpop-missing"       // a token that is bound to a key, without a proof
	CodeProofMalformed = "dpop-malformed"     // several, no JWT, or without a claim that is needed
	CodeProofType      = "dpop-type"          // typ is not dpop+jwt
	CodeProofAlgorithm = "dpop-algorithm"     // none, symmetric, or unknown
	CodeProofKey       = "dpop-key"           // no public key, or one that does not fit the algorithm
	CodeProofSignature = "dpop-signature"     // does not verify
	CodeProofMethod    = "dpop-method"        // htm is another
	CodeProofURL       = "dpop-url"           // htu is another
	CodeProofNonce     = "dpop-nonce"         // no nonce that was handed out lately
	CodeProofTime      = "dpop-time"          // iat is not of the last moments
	CodeProofToken     = "dpop-token"         // ath is of another token
	CodeProofKeyOther  = "dpop-other-key"     // signed by another key than the token is bound to
	CodeProofReplayed  = "dpop-replayed"      // seen before
	CodeReplays        = "replay-unavailable" // nobody can say whether it was: try again
)

var sentences = map[string]string{
	CodeMissing:     "The request carries no bearer token.",
	CodeHeader:      "The Authorization header does not hold exactly one bearer token.",
	CodeTooLong:     "The access token is too long.",
	CodeMalformed:   "The access token is not a well-formed JWT.",
	CodeEncrypted:   "The access token is encrypted, which is not supported.",
	CodeDuplicate:   "The access token states something twice.",
	CodeIssuer:      "The access token is from an issuer that is not trusted here.",
	CodeAlgorithm:   "The access token is signed with an algorithm that is not accepted.",
	CodeCritical:    "The access token demands an extension that is not supported.",
	CodeEmbeddedKey: "The access token brings its own key.",
	CodeKey:         "The access token names no key that its issuer publishes.",
	CodeSignature:   "The access token's signature is not valid.",
	CodeType:        "The token is not an access token.",
	CodeExpired:     "The access token has expired.",
	CodeEarly:       "The access token is not valid yet.",
	CodeAudience:    "The access token is meant for another service.",
	CodeInactive:    "The access token is not valid any more, or never was.",
	CodeTenant:      "The access token is from an issuer whose users have no access here.",
	CodeBinding:     "The access token is bound to a key that the request does not prove.",
	CodeCertificate: "The access token is bound to a client certificate that the connection does not have.",
	CodeClaims:      "The access token lacks a claim that is needed, or has one of the wrong kind.",
	CodeUnavailable: "The access token cannot be checked, because its issuer cannot be reached.",

	CodeProofMissing:   "The access token is bound to a key, and the request carries no DPoP proof.",
	CodeProofMalformed: "The DPoP header does not hold exactly one well-formed proof.",
	CodeProofType:      "The DPoP proof is of another type.",
	CodeProofAlgorithm: "The DPoP proof is signed with an algorithm that is not accepted.",
	CodeProofKey:       "The DPoP proof brings no public key that can be used.",
	CodeProofSignature: "The DPoP proof's signature is not valid.",
	CodeProofMethod:    "The DPoP proof is for another method.",
	CodeProofURL:       "The DPoP proof is for another address.",
	CodeProofNonce:     "The DPoP proof needs the nonce that the answer hands out.",
	CodeProofTime:      "The DPoP proof is not of the last moments.",
	CodeProofToken:     "The DPoP proof is for another access token.",
	CodeProofKeyOther:  "The DPoP proof is by another key than the access token is bound to.",
	CodeProofReplayed:  "The DPoP proof was used before.",
	CodeReplays:        "The DPoP proof cannot be checked at the moment.",
}

// Error says why a call has no caller. Neither it nor what it wraps holds anything of
// the token.
type Error struct {
	Code string

	// Issuer is the URL of the configured issuer that the token claims to be from; ""
	// where it claims none. Whether it is, only an Error after the signature could know.
	Issuer string

	// Scheme is the one by which the token was presented; "" where there is none.
	Scheme string

	// Nonce is to be handed out in the header DPoP-Nonce; "" for none.
	Nonce string

	// Caller is whose token it is, where the token itself is good and only its use is refused: for another tenant, or
	// without proof of the key that it is bound to. Whoever used it may be somebody else.
	Caller *Caller

	err error
}

// Error is for the operator: it may name the issuer and what the network said.
func (e *Error) Error() string {
	s := "authenticate: " + e.Code
	if e.Issuer != "" {
		s += ": " + e.Issuer
	}
	if e.err != nil {
		s += ": " + e.err.Error()
	}
	return s
}

// Unwrap is the cause of CodeUnavailable; nil for every other code.
func (e *Error) Unwrap() error { return e.err }

// Sentence is for the public: fixed words for each code.
func (e *Error) Sentence() string { return sentences[e.Code] }

// Challenge is the error code for WWW-Authenticate (RFC 6750, section 3.1; RFC 9449,
// section 12.2): none where the request brought no token, and none where the token was not
// judged.
func (e *Error) Challenge() string {
	switch e.Code {
	case CodeMissing, CodeUnavailable, CodeReplays:
		return ""
	case CodeHeader:
		return "invalid_request"
	case CodeProofNonce:
		return "use_dpop_nonce"
	}
	if strings.HasPrefix(e.Code, "dpop-") {
		return "invalid_dpop_proof"
	}
	return "invalid_token"
}

func refuse(code string) *Error { return &Error{Code: code} }
