package policies

import (
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/halfdoor/halfdoor/transforms"
)

// Decision is what a policy answers to one call. Its JSON form is the value of data.halfdoor.decision:
//
//	allow       boolean, required
//	reason      {code, text}, required
//	dataset     name of a dataset, required if allow is true
//	purpose     the purpose of use that the call was judged by
//	patient     FHIR id: only this patient's compartment may leave
//	deny_labels [{system, code}]: resources with such a security label are dropped
//	break_glass boolean: the call passed by an emergency rule, and is to stand out in the log
//	obligations list of what the gateway must do as well, by the names of [Obligation]; another is an error
type Decision struct {
	Allow       bool
	Reason      Reason
	Dataset     string
	Plan        *transforms.Plan // of the dataset; nil unless Allow
	Purpose     string
	Patient     string
	DenyLabels  []transforms.Label
	BreakGlass  bool
	Obligations []Obligation
	Revision    string // of the policy that decided
}

// Obligation is something that the gateway must do besides. One that it does not know could not be kept, so that it refuses
// the call.
type Obligation string

// IfMatch holds an update, patch or delete to the version that the client names: without If-Match it is refused.
const IfMatch Obligation = "if-match"

// Reason says why, with a stable code and a sentence that a support agent can read out.
type Reason struct{ Code, Text string }

const (
	maxCode = 64
	maxText = 500
)

// reader takes a decision apart and keeps the first thing that is wrong with it. It never quotes a value, as a policy
// may have made it from what it was told.
type reader struct {
	at    []step
	wrong string
}

// step is a member's name, or the number of an element where there is none.
type step struct {
	name  string
	index int
}

func (r *reader) fail(format string, args ...any) { r.failAt("", format, args...) }

// failAt is about a member of what is being read.
func (r *reader) failAt(member, format string, args ...any) {
	if r.wrong != "" {
		return
	}
	var b strings.Builder
	b.WriteString("decision")
	for _, s := range r.at {
		if s.name == "" {
			fmt.Fprintf(&b, "[%d]", s.index)
		} else {
			b.WriteString("." + s.name)
		}
	}
	if member != "" {
		b.WriteString("." + member)
	}
	fmt.Fprintf(&b, " "+format, args...)
	r.wrong = b.String()
}

func (r *reader) push(s step) { r.at = append(r.at, s) }
func (r *reader) pop()        { r.at = r.at[:len(r.at)-1] }

// parseDecision reads the value of the entry point. It returns what is wrong with it, or "".
func parseDecision(v ast.Value) (*Decision, string) {
	r := &reader{}
	d := &Decision{}
	var hasAllow, hasReason bool
	r.object(v, func(name string, v ast.Value) bool {
		switch name {
		case "allow":
			hasAllow = true
			d.Allow = r.boolean(v)
		case "reason":
			hasReason = true
			d.Reason = r.reason(v)
		case "dataset":
			d.Dataset = r.text(v)
		case "purpose":
			if d.Purpose = r.text(v); !isPurpose(d.Purpose) {
				r.fail("must be a code")
			}
		case "patient":
			if d.Patient = r.text(v); !isID(d.Patient) {
				r.fail("must be a FHIR id; leave it out if there is none")
			}
		case "deny_labels":
			r.list(v, func(v ast.Value) { d.DenyLabels = append(d.DenyLabels, r.label(v)) })
		case "break_glass":
			d.BreakGlass = r.boolean(v)
		case "obligations":
			r.list(v, func(v ast.Value) {
				o := Obligation(r.text(v))
				if o != IfMatch {
					r.fail("is an obligation that this version does not know")
				}
				d.Obligations = append(d.Obligations, o)
			})
		default:
			return false
		}
		return true
	})
	switch {
	case r.wrong != "":
	case !hasAllow:
		r.fail("has no allow")
	case !hasReason:
		r.fail("has no reason")
	case d.Allow && d.Dataset == "":
		r.fail("allows without a dataset")
	}
	return d, r.wrong
}

func (r *reader) reason(v ast.Value) (out Reason) {
	r.object(v, func(name string, v ast.Value) bool {
		switch name {
		case "code":
			out.Code = r.text(v)
		case "text":
			out.Text = r.text(v)
		default:
			return false
		}
		return true
	})
	if !isCode(out.Code) {
		r.failAt("code", "must be lower-case words joined by hyphens")
	}
	if out.Text == "" || len(out.Text) > maxText {
		r.failAt("text", "must be a sentence of at most %d bytes", maxText)
	}
	for _, c := range out.Text {
		if c < ' ' {
			r.failAt("text", "must be one line")
		}
	}
	return out
}

func (r *reader) label(v ast.Value) (out transforms.Label) {
	r.object(v, func(name string, v ast.Value) bool {
		switch name {
		case "system":
			out.System = r.text(v)
		case "code":
			out.Code = r.text(v)
		default:
			return false
		}
		return true
	})
	if out.Code == "" {
		r.fail("has no code")
	}
	return out
}

// object calls member for each member in the order of names; false says that the name is not known.
func (r *reader) object(v ast.Value, member func(name string, v ast.Value) bool) {
	o, ok := v.(ast.Object)
	if !ok {
		r.fail("must be an object and is %s", article(v))
		return
	}
	o.Foreach(func(k, v *ast.Term) {
		name, ok := k.Value.(ast.String)
		if !ok {
			r.fail("has a member that is not a name")
			return
		}
		r.push(step{name: string(name)})
		known := member(string(name), v.Value)
		if !known && isName(string(name)) {
			r.fail("is not a member that this version knows")
		}
		r.pop()
		if !known {
			r.fail("has a member that is not a name")
		}
	})
}

// list calls element for each element of an array, or of a set, as Rego makes one where an author collects.
func (r *reader) list(v ast.Value, element func(v ast.Value)) {
	n := 0
	next := func(t *ast.Term) {
		r.push(step{index: n})
		element(t.Value)
		r.pop()
		n++
	}
	switch v := v.(type) {
	case *ast.Array:
		v.Foreach(next)
	case ast.Set:
		v.Foreach(next)
	default:
		r.fail("must be a list and is %s", article(v))
	}
}

func (r *reader) text(v ast.Value) string {
	s, ok := v.(ast.String)
	if !ok {
		r.fail("must be text and is %s", article(v))
	}
	return string(s)
}

func (r *reader) boolean(v ast.Value) bool {
	b, ok := v.(ast.Boolean)
	if !ok {
		r.fail("must be true or false and is %s", article(v))
	}
	return bool(b)
}

func article(v ast.Value) string {
	switch v.(type) {
	case ast.Null:
		return "null"
	case ast.Boolean:
		return "a boolean"
	case ast.Number:
		return "a number"
	case ast.String:
		return "text"
	case *ast.Array:
		return "an array"
	case ast.Set:
		return "a set"
	case ast.Object:
		return "an object"
	}
	return "something else"
}
