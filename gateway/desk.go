package gateway

import (
	"net/http"
	"slices"

	"github.com/halfdoor/halfdoor/gateway/auth"
)

// desk is why the caller asks: the ticket, its category and the purpose of use.
type desk struct {
	ticket   string // the helpdesk's ticket id
	category string
	purpose  string // HL7 v3 PurposeOfUse code

	emergency string // the reason for which the caller asks for emergency access; empty where it does not
}

// desk reads them from the verified token first. A client that the configuration trusts to
// state one may set it by header, also in place of the token's own; any client may name its
// ticket where its token names none. A header that is not to be believed refuses the call,
// rather than let it run under something that the client did not mean.
func (g *generation) desk(caller *auth.Caller, h http.Header) (desk, error) {
	trusted := g.trusts[clientKey{caller.Issuer, caller.ClientID}]
	var d desk
	for _, s := range []struct {
		name, header, claim string
		open                bool
		into                *string
	}{
		{"ticket", "Ticket-Id", caller.TicketID, true, &d.ticket},
		{"category", "Ticket-Category", caller.TicketCategory, false, &d.category},
		{"purpose", "Purpose-Of-Use", caller.Purpose, false, &d.purpose},
	} {
		stated := h.Values(s.header)
		switch {
		case len(stated) == 0 || len(stated) == 1 && stated[0] == s.claim:
			*s.into = s.claim
		case len(stated) > 1 || plainID(stated[0]) == "":
			return desk{}, refusal("header-malformed").naming(s.header)
		case slices.Contains(trusted, s.name), s.open && s.claim == "":
			*s.into = stated[0]
		default:
			return desk{}, refusal("header-untrusted").naming(s.header)
		}
	}
	switch stated := h.Values(breakGlass); {
	case len(stated) == 0:
	case len(stated) > 1 || !reasonForm.MatchString(stated[0]):
		return desk{}, refusal("header-malformed").naming(breakGlass)
	default:
		d.emergency = stated[0]
	}
	return d, nil
}

type clientKey struct{ issuer, id string }
