package demo

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// BasePath is where below its origin the sandbox serves FHIR.
const BasePath = "/fhir"

// EHROptions say what a sandbox holds.
type EHROptions struct {
	// Seed decides all data. The same seed gives the same bytes.
	Seed uint64
	// Patients is how many there are; 0 means 60.
	Patients int
	// BaseURL is the absolute URL by which the EHR names itself, without a
	// trailing slash: "http://127.0.0.1:40001/fhir". Where it is empty, and until
	// SetBaseURL, the Host of each request decides.
	BaseURL string
	// Change, where set, makes of the body of each version what is stored in its
	// place, for two sandboxes that differ in part. It is given the type and the id,
	// and leaves them and the version as they are.
	Change func(resourceType, id string, body []byte) []byte
}

// EHR is a sandbox EHR. It serves FHIR R4 JSON below BasePath, without asking who
// calls. What is written to it is kept as long as it lives: the same writes, in the
// same order, make of the same seed the same bytes.
type EHR struct {
	state   atomic.Pointer[store]
	writing sync.Mutex // held from the state that a write begins with to the one that it leaves
	baseURL atomic.Pointer[string]
}

// NewEHR generates a sandbox.
func NewEHR(o EHROptions) *EHR {
	if o.Patients <= 0 {
		o.Patients = 60
	}
	e := &EHR{}
	e.state.Store(generate(o))
	e.SetBaseURL(o.BaseURL)
	return e
}

// SetBaseURL sets the absolute URL by which the EHR names itself.
func (e *EHR) SetBaseURL(url string) {
	url = strings.TrimSuffix(url, "/")
	e.baseURL.Store(&url)
}

// Types lists the resource types that the sandbox holds.
func (e *EHR) Types() []string { return slices.Clone(e.state.Load().kinds) }

// IDs lists the ids of a type, in the order in which a search without _sort finds
// them.
func (e *EHR) IDs(resourceType string) []string {
	var ids []string
	for _, r := range e.state.Load().live(resourceType) {
		ids = append(ids, r.id)
	}
	return ids
}

// Deleted lists the ids of a type that are answered by 410.
func (e *EHR) Deleted(resourceType string) []string {
	var ids []string
	if s := e.state.Load().shelves[resourceType]; s != nil {
		for _, r := range s.all {
			if r.deleted() {
				ids = append(ids, r.id)
			}
		}
	}
	return ids
}

// Resource returns the body of a resource as a read answers it. The base URL must
// have been set for the absolute URLs in it to be right.
func (e *EHR) Resource(resourceType, id string) ([]byte, bool) {
	r, ok := e.state.Load().get(resourceType + "/" + id)
	if !ok {
		return nil, false
	}
	return slices.Clone(rebase(r.current().body, e.base(nil))), true
}

func (e *EHR) base(r *http.Request) string {
	if set := *e.baseURL.Load(); set != "" || r == nil {
		return set
	}
	return "http://" + r.Host + BasePath
}

// ServeHTTP answers one FHIR interaction.
func (e *EHR) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{ehr: e, w: w, r: r, base: e.base(r), store: e.state.Load()}
	if err := c.serve(); err != nil {
		c.refuse(err)
	}
}

// A call is one request on its way through the sandbox.
type call struct {
	ehr    *EHR
	w      http.ResponseWriter
	r      *http.Request
	base   string
	pretty bool
	store  *store // as it was when the call began; within a transaction, as its writes so far left it
	edit   *edit  // of the transaction that the call is an entry of
	assign string // the id that a create of a transaction was promised
}

func (c *call) serve() error {
	path, ok := strings.CutPrefix(c.r.URL.Path+"/", BasePath+"/")
	if !ok {
		return &failure{status: http.StatusNotFound, code: "not-found", text: "no FHIR endpoint here; it is " + c.base}
	}
	if err := c.r.ParseForm(); err != nil {
		return &failure{status: http.StatusBadRequest, code: "invalid", text: "malformed parameters: " + err.Error()}
	}
	if !acceptsJSON(c.r) {
		return &failure{status: http.StatusNotAcceptable, code: "not-supported", text: "this server speaks application/fhir+json alone"}
	}
	c.pretty = c.r.Form.Get("_pretty") == "true"
	segments := strings.Split(strings.TrimSuffix(path, "/"), "/")
	switch {
	case c.r.Method == http.MethodGet || c.r.Method == http.MethodHead,
		c.r.Method == http.MethodPost && slices.Contains([]string{"_search", "$everything"}, segments[len(segments)-1]):
		return c.look(segments)
	case len(segments) == 2 && segments[0] == "Patient" && segments[1] == "$match" && c.r.Method == http.MethodPost:
		return c.match()
	case segments[0] == "" && c.r.Method == http.MethodPost:
		return c.posted()
	}
	return c.change(segments)
}

// look answers what changes nothing.
func (c *call) look(s []string) error {
	switch {
	case s[0] == "metadata" && len(s) == 1:
		return c.capabilities()
	case s[0] == "_history" && len(s) == 1:
		return c.history("", "")
	case len(s) == 1 && (s[0] == "" || s[0] == "_search") && c.r.Form.Has("_type"):
		return c.across(nil, "")
	case parameters[s[0]] == nil:
		return unknownType(s[0])
	case len(s) == 1 || len(s) == 2 && s[1] == "_search":
		return c.search(s[0], nil, s[0])
	case len(s) == 2 && s[1] == "_history":
		return c.history(s[0], "")
	case len(s) == 2:
		return c.read(s[0], s[1], "")
	case len(s) == 3 && s[2] == "_history":
		return c.history(s[0], s[1])
	case len(s) == 4 && s[2] == "_history":
		return c.read(s[0], s[1], s[3])
	case len(s) == 3 && s[0] == "Patient" && s[2] == "$everything":
		return c.everything(s[1])
	case s[0] == "Patient" && (len(s) == 3 || len(s) == 4 && s[3] == "_search") && (s[2] == "*" || patientCompartment[s[2]] != nil):
		return c.compartment(s[1], s[2])
	}
	return &failure{status: http.StatusNotFound, code: "not-supported", text: "no such interaction: " + strings.Join(s, "/")}
}

func unknownType(kind string) error {
	return &failure{status: http.StatusNotFound, code: "not-supported", text: fmt.Sprintf("no resource type %q here", kind)}
}

// acceptsJSON follows https://hl7.org/fhir/R4/http.html#mime-type: _format wins.
func acceptsJSON(r *http.Request) bool {
	wanted := r.Form.Get("_format")
	if wanted == "" {
		wanted = r.Header.Get("Accept")
	}
	return wanted == "" || strings.Contains(wanted, "json") || strings.Contains(wanted, "*/*") || strings.Contains(wanted, "application/*")
}
