package gateway

import (
	"strings"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/vault"
)

// A client may send anything as an id that FHIR's grammar allows: the EHR's own id, which stands for the patient, a
// social security number, a name. A record has tokens as they are, and keyed hashes of all else.

// wanted is the id of what was asked for as records have it. That of a patient is hashed as patients are, so that who asked
// for somebody is found although nothing was told.
func (c *call) wanted(kind, id string) string {
	switch {
	case id == "" || vault.Formed(id):
		return id
	case kind == "Patient":
		return c.g.log.Patient(c.rec.EHR, id)
	}
	return c.g.log.Hash(id)
}

// wantedVersion is the version that was asked for as records have it: servers number them, or give them UUIDs.
func (c *call) wantedVersion(id string) string {
	if id == "" || versionForm(id) {
		return id
	}
	return c.g.log.Hash(id)
}

// versionForm says whether a version's id can say nothing of anybody.
func versionForm(id string) bool {
	const uuid = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
	if len(id) != len(uuid) {
		return len(id) < 8 && strings.Trim(id, "0123456789") == "" // more digits could be a number of somebody's
	}
	for i := range uuid {
		if hex := strings.IndexByte("0123456789abcdefABCDEF", id[i]) >= 0; (uuid[i] == 'x') != hex || !hex && id[i] != '-' {
			return false
		}
	}
	return true
}

// user is a fhirUser as records have it: one who is a patient, or belongs to one, is named like a patient.
func (c *call) user(fhirUser string) string {
	at := strings.LastIndexByte(fhirUser, '/')
	if at < 0 {
		return fhirUser
	}
	kind := fhirUser[strings.LastIndexByte(fhirUser[:at], '/')+1 : at]
	if !ofPatients(kind) {
		return fhirUser
	}
	id := fhirUser[at+1:]
	if kind == "Patient" {
		return "Patient/" + c.g.log.Patient(c.rec.EHR, id)
	}
	return kind + "/" + c.g.log.Hash(id)
}

// ofPatients says whether users of a type are patients, or known by one.
func ofPatients(kind string) bool {
	return kind == "Patient" || kind == "RelatedPerson" || kind == "Person"
}

// askedFor notes the ids of a request.
func (c *call) askedFor(req *fhir.Request) {
	q := &c.rec.Request
	q.ID, q.Version = c.wanted(req.Type, req.ID), c.wantedVersion(req.Version)
	if at := req.Compartment; at.ID != "" {
		q.ID = at.Type + "/" + c.wanted(at.Type, at.ID)
	}
}
