package upstream

import (
	"net/url"
	"slices"
)

// carry gives an EHR its addresses, its gate and its tokens: those of the one before where they were made by the same
// settings, so that a reload forgets neither that the server fails nor that it is busy, and fetches no token.
func (e *EHR) carry(bases []*url.URL, before *EHR) {
	if before != nil && before.o.Name != e.o.Name {
		before = nil
	}
	e.gate = newGate(e.o.Load)
	if before != nil && before.o.Load == e.o.Load {
		e.gate = before.gate
	}
	e.at = &addresses{}
	for _, base := range bases {
		e.at.all = append(e.at.all, e.address(base, before))
	}
	if before != nil && slices.Equal(e.at.all, before.at.all) {
		e.at = before.at
	}
	if e.o.OAuth == nil {
		return
	}
	e.tokens = newTokens(e)
	if before != nil && before.tokens != nil && before.o.OAuth.grants(e.o.OAuth) {
		e.tokens.wallet = before.tokens.wallet
	}
}

// address is one, with the breaker that it had before.
func (e *EHR) address(base *url.URL, before *EHR) *address {
	if before != nil && same(before.o.Breaker, e.o.Breaker) {
		for _, a := range before.at.all {
			if *a.base == *base {
				return a
			}
		}
	}
	name, changed := base.String(), e.o.Changed
	if changed == nil {
		changed = func(string, State, State) {}
	}
	return &address{base: base, breaker: newBreaker(e.o.Breaker, func(from, to State) { changed(name, from, to) })}
}

// same says whether breakers are made alike.
func same(a, b *Breaker) bool { return a == b || a != nil && b != nil && *a == *b }

// grants says whether the tokens that one gets are those that the other would. By which key the gateway says who it is
// does not matter: keys are rotated.
func (o *OAuth) grants(other *OAuth) bool {
	return o.ClientID == other.ClientID && o.TokenURL == other.TokenURL && slices.Equal(o.Scopes, other.Scopes) &&
		o.Resource == other.Resource && o.Audience == other.Audience && o.Exchange == other.Exchange
}
