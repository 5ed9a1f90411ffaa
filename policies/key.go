package policies

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// leaf is one value of the input: what a decision can depend on, and its key be made of.
type leaf uint8

const (
	leafVersion leaf = iota
	leafSubject
	leafIssuer
	leafClient
	leafRoles
	leafFHIRUser
	leafBinding
	leafTicketID
	leafCategory
	leafPurpose
	leafInteraction
	leafType
	leafHasID
	leafParameters
	leafIncludes
	leafOperation
	leafEntries
	leafPatient
	leafEncounter
	leafEHR
	leafTenant
	leafSource
	leafWeekday
	leafHour
	leafReason
	leafCount
)

// leafPaths are where the values stand in the document. A list is one value: its elements have no name to bound a
// reference by.
var leafPaths = [leafCount][]string{
	leafVersion:     {"version"},
	leafSubject:     {"caller", "subject"},
	leafIssuer:      {"caller", "issuer"},
	leafClient:      {"caller", "client"},
	leafRoles:       {"caller", "roles"},
	leafFHIRUser:    {"caller", "fhir_user"},
	leafBinding:     {"caller", "binding"},
	leafTicketID:    {"ticket", "id"},
	leafCategory:    {"ticket", "category"},
	leafPurpose:     {"purpose"},
	leafInteraction: {"request", "interaction"},
	leafType:        {"request", "type"},
	leafHasID:       {"request", "has_id"},
	leafParameters:  {"request", "parameters"},
	leafIncludes:    {"request", "includes"},
	leafOperation:   {"request", "operation"},
	leafEntries:     {"request", "entries"},
	leafPatient:     {"context", "patient"},
	leafEncounter:   {"context", "encounter"},
	leafEHR:         {"context", "ehr"},
	leafTenant:      {"context", "tenant"},
	leafSource:      {"network", "source"},
	leafWeekday:     {"time", "weekday"},
	leafHour:        {"time", "hour"},
	leafReason:      {"break_glass", "reason"},
}

// leaves is a set of them.
type leaves uint64

const allLeaves = leaves(1)<<leafCount - 1

// leavesOf are the values that a reference to the input can reach: those above and below the names that it begins with.
// A reference that goes on with a variable is bounded by what stands before it.
func leavesOf(ref ast.Ref) leaves {
	var path []string
	for _, term := range ref[1:] {
		name, ok := term.Value.(ast.String)
		if !ok {
			break
		}
		path = append(path, string(name))
	}
	var set leaves
	for l, at := range leafPaths {
		if n := min(len(at), len(path)); slices.Equal(at[:n], path[:n]) {
			set |= 1 << l
		}
	}
	if set == 0 { // nothing that we know of; it does not compile
		return allLeaves
	}
	return set
}

// names are the references of the set, sorted.
func (s leaves) names() []string {
	var names []string
	for l, at := range leafPaths {
		if s&(1<<l) != 0 {
			names = append(names, "input."+strings.Join(at, "."))
		}
	}
	slices.Sort(names)
	return names
}

// key appends the values of the set to a key. Each says where it ends, so that two inputs share a key only if all of
// these values are the same.
func (s leaves) key(key []byte, in *Input) []byte {
	for l := range leafCount {
		if s&(1<<l) != 0 {
			key = l.append(key, in)
		}
	}
	return key
}

func (l leaf) append(key []byte, in *Input) []byte {
	switch l {
	case leafVersion:
		return binary.AppendVarint(key, int64(in.Version))
	case leafSubject:
		return appendText(key, in.Caller.Subject)
	case leafIssuer:
		return appendText(key, in.Caller.Issuer)
	case leafClient:
		return appendText(key, in.Caller.Client)
	case leafRoles:
		return appendList(key, in.Caller.Roles)
	case leafFHIRUser:
		return appendText(key, in.Caller.FHIRUser)
	case leafBinding:
		return appendText(key, in.Caller.Binding)
	case leafTicketID:
		return appendText(key, in.Ticket.ID)
	case leafCategory:
		return appendText(key, in.Ticket.Category)
	case leafPurpose:
		return appendText(key, in.Purpose)
	case leafInteraction:
		return appendText(key, in.Request.Interaction)
	case leafType:
		return appendText(key, in.Request.Type)
	case leafHasID:
		if in.Request.HasID {
			return append(key, 1)
		}
		return append(key, 0)
	case leafParameters:
		return appendList(key, in.Request.Parameters)
	case leafIncludes:
		return appendList(key, in.Request.Includes)
	case leafOperation:
		return appendText(key, in.Request.Operation)
	case leafEntries:
		return binary.AppendVarint(key, int64(in.Request.Entries))
	case leafPatient:
		return appendText(key, in.Context.Patient)
	case leafEncounter:
		return appendText(key, in.Context.Encounter)
	case leafEHR:
		return appendText(key, in.Context.EHR)
	case leafTenant:
		return appendText(key, in.Context.Tenant)
	case leafSource:
		return appendText(key, in.Network.Source)
	case leafWeekday:
		return appendText(key, in.Time.Weekday)
	case leafHour:
		return binary.AppendVarint(key, int64(in.Time.Hour))
	case leafReason:
		return appendText(key, in.BreakGlass.Reason)
	}
	panic("policies: a value of the input that no key can be made of")
}

func appendText(key []byte, s string) []byte {
	return append(binary.AppendUvarint(key, uint64(len(s))), s...)
}

func appendList(key []byte, values []string) []byte {
	key = binary.AppendUvarint(key, uint64(len(values)))
	for _, v := range values {
		key = appendText(key, v)
	}
	return key
}
