// Package demo holds a sandbox EHR, used by the command "halfdoor demo" and by
// whole-system tests.
//
// The sandbox EHR ([NewEHR]) answers like a real one of FHIR R4: read, vread,
// history of an instance, search with paging, compartment search, includes,
// chains and $everything (https://hl7.org/fhir/R4/http.html, search.html). It is
// open, as an EHR behind a gateway may be, and careless on purpose: names stand
// in its error texts, clinical remarks in its free texts. Everything in it is
// generated from a seed. People, places, conditions and medicines are invented;
// the same seed gives the same bytes on every machine.
package demo
