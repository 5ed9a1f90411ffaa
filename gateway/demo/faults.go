package demo

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
)

// A Fault is a way in which an EHR fails.
type Fault uint8

// The faults that Faulty plays.
const (
	FaultNone         Fault = iota
	FaultDead               // the connection ends without an answer
	FaultStall              // no header ever comes
	FaultStallBody          // the body stops in the middle and the connection stays
	FaultCut                // the body ends in the middle with its connection
	FaultHTML               // 200 with a login page
	FaultUnauthorized       // 401, as OperationOutcome
	FaultForbidden          // 403, as OperationOutcome
	FaultInternal           // 500 with a stack trace that names a patient
	FaultBusy               // 503 with Retry-After
	FaultThrottled          // 429 with Retry-After
	FaultInvalidJSON        // a whole body whose JSON breaks in the middle
	FaultWrong              // another resource than the one asked for
	FaultRedirect           // 302 to another host
	FaultXML                // 200 with FHIR in XML
	FaultLost               // the request is carried out, and the connection ends without an answer
)

// Faulty stands before a handler and fails as told. Its methods may be called
// while requests run; a request keeps the fault that it began with.
type Faulty struct {
	next http.Handler

	mu      sync.Mutex
	fault   Fault
	after   int
	methods []string
	release chan struct{}
	seen    int
}

// NewFaulty returns a Faulty without fault.
func NewFaulty(next http.Handler) *Faulty {
	return &Faulty{next: next, release: make(chan struct{})}
}

// Set makes all following requests fail in one way. The faults that break a body
// break it after so many bytes of it; 0 means in its middle. Where methods are named,
// requests by others do not fail.
func (f *Faulty) Set(fault Fault, after int, methods ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.after, f.methods = fault, after, methods
}

// Release lets the requests that stall now go on: their connections end.
func (f *Faulty) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.release)
	f.release = make(chan struct{})
}

// Requests counts the requests that came.
func (f *Faulty) Requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen
}

// ServeHTTP answers or fails.
func (f *Faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.seen++
	fault, after, release := f.fault, f.after, f.release
	if len(f.methods) > 0 && !slices.Contains(f.methods, r.Method) {
		fault = FaultNone
	}
	f.mu.Unlock()

	stall := func() {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	}
	switch fault {
	case FaultNone:
		f.next.ServeHTTP(w, r)
	case FaultDead:
		panic(http.ErrAbortHandler)
	case FaultStall:
		stall()
	case FaultStallBody:
		f.first(w, r, after)
		stall()
	case FaultCut:
		f.first(w, r, after)
		panic(http.ErrAbortHandler)
	case FaultInvalidJSON:
		a := f.answer(r)
		at := a.middle(after)
		a.send(w, append(a.body[:at:at], `,}]{"`...))
	case FaultLost:
		f.answer(r)
		panic(http.ErrAbortHandler)
	case FaultWrong:
		say(w, http.StatusOK, fhirJSON, `{"resourceType":"Patient","id":"somebody-else","name":[{"family":"Oddwick"}]}`)
	default:
		fault.say(w)
	}
}

// say answers the faults that are one fixed answer.
func (fault Fault) say(w http.ResponseWriter) {
	const outcome = `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"%s","diagnostics":"Tamsibel Oddwick, MRN-100037: %s"}]}`
	switch fault {
	case FaultHTML:
		say(w, http.StatusOK, "text/html", "<!doctype html><title>Sign in</title><p>Welcome back, Dr Oddwick")
	case FaultUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="ehr"`)
		say(w, http.StatusUnauthorized, fhirJSON, fmt.Sprintf(outcome, "login", "no session"))
	case FaultForbidden:
		say(w, http.StatusForbidden, fhirJSON, fmt.Sprintf(outcome, "forbidden", "not on the care team"))
	case FaultInternal:
		say(w, http.StatusInternalServerError, fhirJSON, fmt.Sprintf(outcome, "exception", "java.lang.NullPointerException at Chart.open(Chart.java:417)"))
	case FaultBusy:
		w.Header().Set("Retry-After", "7")
		say(w, http.StatusServiceUnavailable, fhirJSON, fmt.Sprintf(outcome, "transient", "nightly batch"))
	case FaultThrottled:
		w.Header().Set("Retry-After", "3")
		say(w, http.StatusTooManyRequests, fhirJSON, fmt.Sprintf(outcome, "throttled", "too many charts"))
	case FaultRedirect:
		w.Header().Set("Location", "http://elsewhere.example/fhir/Patient/1")
		say(w, http.StatusFound, "text/plain", "moved")
	case FaultXML:
		say(w, http.StatusOK, "application/fhir+xml", `<Patient xmlns="http://hl7.org/fhir"><name><family value="Oddwick"/></name></Patient>`)
	}
}

func say(w http.ResponseWriter, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	io.WriteString(w, body) // the client is gone where this fails
}

// An answer is a whole answer of the handler behind, held to be broken.
type answer struct {
	header http.Header
	status int
	body   []byte
}

func newAnswer() *answer { return &answer{header: http.Header{}, status: http.StatusOK} }

func (a *answer) Header() http.Header    { return a.header }
func (a *answer) WriteHeader(status int) { a.status = status }
func (a *answer) Write(p []byte) (int, error) {
	a.body = append(a.body, p...)
	return len(p), nil
}

func (a *answer) middle(after int) int {
	if after > 0 && after < len(a.body) {
		return after
	}
	return len(a.body) / 2
}

func (a *answer) send(w http.ResponseWriter, body []byte) {
	for name, values := range a.header {
		if name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(a.status)
	w.Write(body)
}

func (f *Faulty) answer(r *http.Request) *answer {
	a := newAnswer()
	f.next.ServeHTTP(a, r)
	return a
}

// first sends the first part of the answer so that it arrives.
func (f *Faulty) first(w http.ResponseWriter, r *http.Request, after int) {
	a := f.answer(r)
	a.send(w, a.body[:a.middle(after)])
	http.NewResponseController(w).Flush()
}
