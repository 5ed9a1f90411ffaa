package reference

import (
	"regexp"
	"strings"

	"github.com/halfdoor/halfdoor/transforms"
)

// reference is the parts of a literal reference to a resource of the EHR.
type reference struct {
	base, kind, id, version string // base: the gateway's own, "" where the reference is relative
	local                   string // "#x", to a contained resource that leaves
}

var literal = regexp.MustCompile(`^([A-Z][A-Za-z]*)/([A-Za-z0-9.-]{1,64})(/_history/[A-Za-z0-9.-]{1,64})?$`)

func (r *oracle) reference(s string) (reference, bool) {
	if id, ok := strings.CutPrefix(s, "#"); ok {
		return reference{local: s}, r.locals[id]
	}
	base := ""
	for _, ehr := range r.o.EHR {
		if rest, ok := strings.CutPrefix(s, ehr+"/"); ok && literal.MatchString(rest) {
			base, s = r.o.Base+"/", rest
			break
		}
	}
	m := literal.FindStringSubmatch(s)
	if m == nil {
		return reference{}, false
	}
	return reference{base: base, kind: m[1], id: m[2], version: m[3]}, true
}

// rewrite is a reference as it leaves, counted at the row that lets it.
func (r *oracle) rewrite(path string, ref reference) string {
	if ref.local != "" {
		return ref.local
	}
	r.tokenized[r.element(path)]++
	r.leads = append(r.leads, ref.kind+"/"+ref.id)
	return r.address(ref)
}

func (r *oracle) address(ref reference) string {
	if ref.kind == "Patient" {
		r.name("Patient", ref.id)
	}
	return ref.base + ref.kind + "/" + r.token(ref.kind, ref.id) + ref.version
}

func (r *oracle) token(kind, value string) string {
	token, err := r.o.Tokens.AppendToken(nil, kind, []byte(value))
	if err != nil {
		r.fail(transforms.ErrToken)
	}
	return string(token)
}
