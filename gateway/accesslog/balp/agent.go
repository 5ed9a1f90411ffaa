package balp

import (
	"cmp"
	"fmt"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
)

// agents are the app, the gateway, the person where there is one, and the EHR.
func (m *Mapper) agents(r *accesslog.Record, what class) []agent {
	if what.shape == Admin {
		return m.administrators(r)
	}
	// The client of a read is where data goes to, that of a search and of a write where the request comes from
	// (BALP, 3:5.7.3); a delete has the pattern of older audit messages.
	client, server := coding{dicom, "110153", "Source Role ID"}, coding{dicom, "110152", "Destination Role ID"}
	switch what.shape {
	case Read:
		client, server = server, client
	case Delete:
		client = coding{dicom, "110150", "Application"}
		server = coding{"http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian", "Custodian"}
	}
	person := r.Actor.Subject != "" && r.Actor.Subject != r.Actor.Client
	app := agent{Type: typed(client), Who: who(r.Actor.Issuer, r.Actor.Client), Requestor: !person, Network: from(r.Source)}
	own := agent{Type: typed(server), Who: m.self(), Network: &network{Address: m.Host, Type: "1"}}
	if p := r.Policy; p.Dataset != "" {
		own.Policy = []string{token(fmt.Sprintf("urn:halfdoor:policy:%s:%s:%d", p.Revision, p.Dataset, p.Version))}
	}
	all := []agent{app, own}
	if person {
		all = append(all, m.person(r, what))
	}
	if r.EHR != "" {
		all = append(all, agent{Type: &concept{Text: "EHR"}, Who: reference{Identifier: &identifier{EHRSystem, clean(r.EHR)}}})
	}
	return all
}

// person is whom the app acted for, as the patterns for OAuth tokens map the token.
func (m *Mapper) person(r *accesslog.Record, what class) agent {
	kind := coding{"http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP", "information recipient"}
	if what.shape == Create || what.shape == Update || what.shape == Delete {
		kind.Code, kind.Display = "AUT", "author (originator)"
	}
	a := agent{Type: typed(kind), Who: who(r.Actor.Issuer, r.Actor.Subject), Requestor: true, AltID: clean(r.Actor.FHIRUser)}
	for _, role := range r.Actor.Roles {
		if role = clean(role); role != "" {
			a.Role = append(a.Role, concept{Text: role})
		}
	}
	if r.Purpose != "" {
		a.PurposeOfUse = []concept{purpose(r.Purpose)}
	}
	return a
}

// administrators are who acted, where it is recorded, and the gateway.
func (m *Mapper) administrators(r *accesslog.Record) []agent {
	own := agent{Type: typed(coding{dicom, "110150", "Application"}), Who: m.self(), Requestor: r.Actor.Subject == "", Network: &network{Address: m.Host, Type: "1"}}
	if r.Actor.Subject == "" {
		return []agent{own}
	}
	who := agent{Type: typed(coding{"http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP", "information recipient"}),
		Who: who(r.Actor.Issuer, r.Actor.Subject), Requestor: true}
	return []agent{who, own}
}

// self is the gateway that recorded the event.
func (m *Mapper) self() reference {
	return reference{Identifier: &identifier{OriginSystem, clean(m.Origin)}}
}

// who names an app or a person by the issuer's identifier.
func who(issuer, name string) reference {
	if name = clean(name); name == "" {
		return reference{Display: "nobody who was recognised"}
	}
	return reference{Identifier: &identifier{cmp.Or(token(issuer), AccountSystem), name}}
}

func from(source string) *network {
	if source = clean(source); source == "" {
		return &network{Address: "unknown", Type: "1"}
	}
	return &network{Address: source, Type: "2"}
}

func typed(c coding) *concept { return &concept{Coding: []coding{c}} }
