package upstream

import "context"

// credential is the access token of one call, and who holds it; nobody where it cannot be replaced.
type credential struct {
	token  Secret
	holder *held
}

// credential is what a call shows the EHR.
func (e *EHR) credential(ctx context.Context, c *Call) (credential, *Error) {
	if e.NeedsCaller() && c.Caller == "" {
		return credential{}, &Error{Kind: CallerRefused, EHR: e.o.Name, Reason: "the caller has no token that could be used"}
	}
	switch {
	case e.tokens != nil:
		holder := e.tokens.holder(c.Caller)
		caller := c.Caller
		token, err := holder.get(ctx, e.stopped, func() (granted, *Error) { return e.tokens.fetch(caller) })
		return credential{token, holder}, err
	case e.o.InsecureForwardCaller:
		return credential{token: c.Caller}, nil
	}
	return credential{token: e.o.Bearer}, nil
}

// NeedsCaller says whether a Call has to have the caller's own token.
func (e *EHR) NeedsCaller() bool {
	return e.o.InsecureForwardCaller || e.o.OAuth != nil && e.o.OAuth.Exchange
}
