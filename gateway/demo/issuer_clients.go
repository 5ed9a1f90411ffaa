package demo

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"slices"
)

// A Secret prints as [redacted] in every form that fmt, a log or JSON has.
// string(s) is the secret itself.
type Secret string

// Format implements fmt.Formatter, which every verb of fmt goes through.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, "[redacted]") }

// MarshalText implements encoding.TextMarshaler, for JSON and logs.
func (Secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// A Client may ask for tokens.
type Client struct {
	ID string
	// Secret is its password; a client without one is public and may only use the
	// authorization code.
	Secret Secret
	// RedirectURIs are where an authorization code may be sent, compared letter by
	// letter: https, or http on a loopback host. A client without one has no
	// authorization code.
	RedirectURIs []string
	// Scopes are those that it may ask for, and what it gets where it asks for none.
	Scopes []string
	// Roles, Ticket, Category and Purpose become the claims roles, ticket,
	// ticket_category and purpose_of_use; the empty ones are left out.
	Roles                     []string
	Ticket, Category, Purpose string
	// User is the subject who sits before the client when an authorization code is
	// approved; "demo-user" where empty.
	User string
	// FHIRUser is who that is in the EHR ("Practitioner/1"), for the scope fhirUser.
	FHIRUser string
	// Patient is the EHR's id of the patient in context, for the scope launch/patient.
	Patient string
}

func (c *Client) check() error {
	if c.ID == "" {
		return errors.New("a client needs an id")
	}
	if c.Secret == "" && len(c.RedirectURIs) == 0 {
		return fmt.Errorf("client %q has neither a secret nor a redirect URI", c.ID)
	}
	for _, s := range c.RedirectURIs {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.Fragment != "" || u.User != nil || !(u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())) {
			return fmt.Errorf("client %q: redirect URI %q is neither https nor http on loopback", c.ID, s)
		}
	}
	if slices.Contains(c.Scopes, "launch/patient") && c.Patient == "" {
		return fmt.Errorf("client %q has launch/patient and no patient", c.ID)
	}
	return nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// authentic compares in a time that depends on neither secret. A public client is
// never authentic.
func (c *Client) authentic(secret string) bool {
	var known string
	if c != nil {
		known = string(c.Secret)
	}
	a, b := sha256.Sum256([]byte(known)), sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && known != ""
}

// DeskTypes are the resource types that the desks' scopes cover.
func DeskTypes() []string {
	return []string{"Patient", "Practitioner", "PractitionerRole", "Organization", "Location", "Appointment", "Schedule", "Slot",
		"Encounter", "Coverage", "Task", "Communication", "ServiceRequest"}
}

// AppOptions say where demo-app lives and for whom it is launched.
type AppOptions struct {
	// RedirectURIs of demo-app.
	RedirectURIs []string
	// Patient is the EHR's id of its patient; without one there is no demo-app.
	Patient string
	// FHIRUser is "Practitioner/<id>" of its user.
	FHIRUser string
}

// DeskClients are the demo's clients, with new secrets from random: one for each
// desk, demo-emergency, which may break the glass, demo-nobody, which may do nothing, and demo-app, a public SMART app. Desk
// tokens name a ticket, so that a call needs no header but its token; those of
// desks that write by the default policy have the scopes for it.
func DeskClients(random io.Reader, app AppOptions) ([]Client, error) {
	var system, patient []string
	for _, t := range DeskTypes() {
		system = append(system, "system/"+t+".rs")
		patient = append(patient, "patient/"+t+".rs")
	}
	clients := []Client{
		{ID: "demo-access", Scopes: system, Roles: []string{"helpdesk-access"}, Ticket: "DEMO-1001", Category: "access", Purpose: "HOPERAT"},
		{ID: "demo-scheduling", Scopes: append(slices.Clip(system), "system/Appointment.u", "system/Task.u", "system/Communication.c"), Roles: []string{"helpdesk-scheduling"}, Ticket: "DEMO-1002", Category: "scheduling", Purpose: "PATADMIN"},
		{ID: "demo-billing", Scopes: append(slices.Clip(system), "system/Task.u"), Roles: []string{"helpdesk-billing"}, Ticket: "DEMO-1003", Category: "billing", Purpose: "HPAYMT"},
		{ID: "demo-emergency", Scopes: system, Roles: []string{"helpdesk-emergency"}, Ticket: "DEMO-1005", Category: "emergency", Purpose: "BTG"},
		{ID: "demo-nobody"},
	}
	for n := range clients {
		s, err := randomText(random)
		if err != nil {
			return nil, err
		}
		clients[n].Secret = Secret(s)
	}
	if app.Patient != "" {
		clients = append(clients, Client{ID: "demo-app", RedirectURIs: app.RedirectURIs,
			Scopes: append([]string{"openid", "fhirUser", "launch/patient"}, patient...),
			Roles:  []string{"helpdesk-scheduling"}, Ticket: "DEMO-1004", Category: "scheduling", Purpose: "PATADMIN",
			FHIRUser: app.FHIRUser, Patient: app.Patient})
	}
	return clients, nil
}
