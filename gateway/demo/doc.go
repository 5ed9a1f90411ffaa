// Package demo holds a sandbox EHR and a small authorization server, used by
// the command "halfdoor demo" and by whole-system tests.
//
// The sandbox EHR ([NewEHR]) answers like a real one of FHIR R4: read, vread,
// history of an instance, search with paging, compartment search, includes,
// chains and $everything (https://hl7.org/fhir/R4/http.html, search.html). It is
// open, as an EHR behind a gateway may be, and careless on purpose: names stand
// in its error texts, clinical remarks in its free texts. Everything in it is
// generated from a seed. People, places, conditions and medicines are invented;
// the same seed gives the same bytes on every machine. [Faulty] makes it fail in
// the ways in which real servers fail.
//
// The authorization server ([NewIssuer]) follows RFC 6749 (client credentials,
// authorization code), RFC 7636 (PKCE, S256 only), RFC 8414 and OpenID Connect
// Discovery 1.0, RFC 9068 (JWT access tokens), RFC 9207 (iss in the answer) and,
// for launch/patient and fhirUser, SMART App Launch 2.2. It refuses what it does
// not know. It has no users and no login: whoever reaches its page may approve,
// so it must never stand anywhere but on a loopback address.
package demo
