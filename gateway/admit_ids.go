package gateway

import (
	"strings"

	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/transforms"
)

// open turns an id that the client sent into the EHR's own.
func (a *admission) open(kind, id string) (string, bool) {
	grant := &a.caller.Grant
	if kind == "Patient" && id == grant.Patient || kind == "Encounter" && id == grant.Encounter || a.isUser(kind, id) {
		return id, true
	}
	if real, err := a.seal.Open(kind, id); err == nil {
		return real, true
	}
	// Where ids are kept they are as good; addresses and references have tokens there, too.
	return id, a.dec.Plan.Method(kind, "id") == transforms.Keep
}

// isUser says whether the id is the token's own fhirUser, relative or at this EHR.
func (a *admission) isUser(kind, id string) bool {
	user := a.caller.Grant.FHIRUser
	for _, base := range a.route.bases {
		user = strings.TrimPrefix(user, base+"/")
	}
	return user == kind+"/"+id
}

// openValues opens what stands for an id in the values of a parameter of one of the types.
// Values that open to nothing are left out; ok is false where none is left.
func (a *admission) openValues(kinds []string, p fhir.Param) (_ fhir.Param, ok bool) {
	var open func(string) (string, bool)
	switch {
	case p.Definition == nil:
		return p, true
	case p.Modifier == "missing", p.Modifier == "text", p.Modifier == "of-type", p.Modifier == "identifier":
		return p, true // their values name no resource
	case p.Definition.Name == "_id":
		open = func(v string) (string, bool) { return a.openAny(kinds, v) }
	case p.Definition.Type == fhir.Reference:
		open = func(v string) (string, bool) { return a.openReference(p, v) }
	case p.Definition.Type == fhir.Token:
		open = func(v string) (string, bool) { return a.openIdentifier(kinds, p, v), true }
	default:
		return p, true
	}
	values := make([]string, 0, len(p.Values))
	for _, v := range p.Values {
		if real, ok := open(v); ok {
			values = append(values, real)
		}
	}
	p.Values = values
	return p, len(values) > 0
}

// openAny opens an id as that of the type whose token it is. Where several types are searched, an
// id that one of them keeps would find a resource of another by its own id: it has to be a token,
// unless all of them keep theirs.
func (a *admission) openAny(kinds []string, id string) (string, bool) {
	if len(kinds) == 1 {
		return a.open(kinds[0], id)
	}
	kept := true
	for _, kind := range kinds {
		if real, err := a.seal.Open(kind, id); err == nil {
			return real, true
		}
		kept = kept && a.dec.Plan.Method(kind, "id") == transforms.Keep
	}
	return id, kept
}

// openReference opens "token", "Type/token" or the gateway's own URL of a resource. A bare
// token opens as one type only, so each target is tried.
func (a *admission) openReference(p fhir.Param, v string) (string, bool) {
	v = strings.TrimPrefix(v, a.route.base+"/")
	kind, id, typed := strings.Cut(v, "/")
	kinds := []string{kind}
	if !typed {
		id, kinds = v, p.Definition.Targets
		if p.Modifier != "" {
			kinds = []string{p.Modifier}
		}
	}
	for _, kind := range kinds {
		if real, ok := a.open(kind, id); ok && fhir.ValidID(real) {
			if p.Modifier != "" {
				return real, true
			}
			return kind + "/" + real, true
		}
	}
	return "", false
}

// openIdentifier opens the value of "system|token" where the dataset tokenises it; any
// other value stays what it is.
func (a *admission) openIdentifier(kinds []string, p fhir.Param, v string) string {
	i := strings.LastIndexByte(v, '|') + 1
	for _, kind := range kinds {
		for _, path := range p.Definition.Elements {
			if a.dec.Plan.Method(kind, path) != transforms.Token {
				continue
			}
			if real, err := a.seal.Open(kind+"."+path, v[i:]); err == nil {
				return v[:i] + fhir.Escape(real)
			}
		}
	}
	return v
}
