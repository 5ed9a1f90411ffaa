// Package demo holds a sandbox EHR and a small authorization server, used by
// the command "halfdoor demo" and by whole-system tests.
//
// The sandbox EHR ([NewEHR]) answers like a real one of FHIR R4: read, vread,
// history of an instance, a type and all, search with paging, compartment search,
// includes, chains and $everything; create, also conditional, update with
// If-Match, also of what is not there, delete, batch and transaction
// (https://hl7.org/fhir/R4/http.html, search.html). A reference has to lead to
// something. It is open, as an EHR behind a gateway may be, and careless on
// purpose: names stand in its error texts, clinical remarks in its free texts.
// Everything that it begins with is generated from a seed, and so are the ids and
// times of what is written to it. People, places, conditions and medicines are
// invented; the same seed and writes give the same bytes on every machine.
// [Faulty] makes it fail in the ways in which real servers fail.
//
// The authorization server ([NewIssuer]) follows RFC 6749 (client credentials,
// authorization code), RFC 7636 (PKCE, S256 only), RFC 8414 and OpenID Connect
// Discovery 1.0, RFC 9068 (JWT access tokens), RFC 9207 (iss in the answer) and,
// for launch/patient and fhirUser, SMART App Launch 2.2. It refuses what it does
// not know. It has no users and no login: whoever reaches its page may approve,
// so it must never stand anywhere but on a loopback address.
package demo
