package gateway

import (
	"cmp"
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/auth"
	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/smart"
	"github.com/halfdoor/halfdoor/gateway/upstream"
	"github.com/halfdoor/halfdoor/gateway/vault"
	"github.com/halfdoor/halfdoor/policies"
	"github.com/halfdoor/halfdoor/transforms"
)

// This file alone maps an error to status, code, text and record. A Refusal is made of a
// code from answers, and of names that the caller wrote itself; never of an error's text,
// an upstream's words, or a value.

// Refusal is the answer to a call that is not served.
type Refusal struct {
	Code string // stable; the key of answers, or a policy's own reason code
	answer
	allow      string // 405: the methods that would do
	retryAfter string // seconds, or what the EHR said
	challenge  string // 401: the RFC 6750 error code; "" when no token came
	scheme     string // 401: the one that the challenge is of; "" for any
	nonce      string // 401: for the client's next DPoP proof
	entry      int    // of a transaction: the one for which it is refused, counted from 1; else 0
}

// Error is the public sentence.
func (r *Refusal) Error() string { return r.Code + ": " + r.text }

// answer is what a code means.
type answer struct {
	status int
	issue  string // FHIR IssueType
	text   string // a sentence that a support agent can read out
	retry  string // when trying again makes sense
}

const (
	never = "no"        // the same call gets the same answer
	soon  = "later"     // the same call may be answered then
	after = "corrected" // another call may be answered
)

// answers is the list of error codes; README and the tests read it too.
var answers = map[string]answer{
	"token-missing":           {401, "login", "The helpdesk app sent no access token. Its administrator should check the app's connection to Halfdoor.", after},
	"token-invalid":           {401, "login", "The helpdesk app's access token is not valid here. Signing in again, or its administrator, can help.", after},
	"token-expired":           {401, "expired", "The helpdesk app's sign-in has expired. Sign in again and repeat the call.", after},
	"token-unbound":           {401, "login", "The helpdesk app's access token has to be bound to the app (DPoP or a client certificate) for this call. Its administrator can help.", after},
	"dpop-invalid":            {401, "login", "The helpdesk app did not prove that its access token is its own. Trying again, or its administrator, can help.", after},
	"replay-unavailable":      {503, "exception", "The gateway cannot tell whether this call was made before. Its operators have been told.", soon},
	"issuer-unavailable":      {503, "transient", "The sign-in service cannot be reached, so the caller cannot be checked.", soon},
	"header-malformed":        {400, "invalid", "A header of the request is malformed: {}.", after},
	"header-untrusted":        {403, "forbidden", "This app may not state {} by header; its access token has to carry it.", after},
	"scope":                   {403, "forbidden", "The app's permissions (SMART scopes) do not cover this call.", never},
	"scope-patient":           {403, "forbidden", "The app may see one patient's data only, and no patient was chosen at its launch.", never},
	"scope-granular":          {403, "forbidden", "The app's permissions are limited to part of this resource type in a way that cannot be checked for this call.", never},
	"policy-denied":           {403, "forbidden", "The hospital's policy does not allow this call.", never},
	"policy-failed":           {500, "exception", "The hospital's policy could not be evaluated, so the call was refused. The gateway's operators have been told.", soon},
	"switched-off":            {503, "transient", "The hospital has switched off {} for now. Its IT support can say why, and for how long.", soon},
	"policy-missing":          {503, "transient", "The gateway has not received the hospital's policy yet, so nothing may be disclosed. Its operators have been told.", soon},
	"dataset-type":            {403, "forbidden", "The minimum dataset of this desk does not include resources of this type.", never},
	"search-hidden":           {403, "forbidden", "The parameter {} reads something that this desk may not see, alone or in this form.", never},
	"history-hidden":          {403, "forbidden", "The history of these resources tells more than this desk may see.", never},
	"not-found":               {404, "not-found", "There is no such resource, or this app may not know of it.", never},
	"no-such-path":            {404, "not-found", "This is not a FHIR address of the gateway. Check the base URL.", never},
	"unknown-type":            {404, "not-supported", "The address names no FHIR R4 resource type.", never},
	"malformed-request":       {400, "invalid", "The address is not a well-formed FHIR address.", after},
	"malformed-id":            {400, "invalid", "The id in the address is not a FHIR id.", after},
	"unknown-parameter":       {400, "not-supported", "The parameter {} is not known for this resource type.", after},
	"malformed-parameter":     {400, "invalid", "The value of the parameter {} is malformed.", after},
	"not-supported":           {403, "not-supported", "The gateway does not offer {}.", never},
	"missing-parameter":       {400, "required", "The request needs {}.", after},
	"media-type":              {415, "not-supported", "The request's body has to be FHIR JSON in UTF-8 and uncompressed: JSON Patch for a patch, a form for a search by POST.", after},
	"malformed-body":          {400, "structure", "The request's body is not the well-formed FHIR JSON that this call takes.", after},
	"body-mismatch":           {400, "invariant", "The resource in the body is not the one that the address names.", after},
	"body-too-large":          {413, "too-long", "The request's body, or the number of its entries, is more than the gateway takes.", after},
	"method-not-allowed":      {405, "not-supported", "The gateway does not offer this method here.", never},
	"not-acceptable":          {406, "not-supported", "The gateway answers in JSON only, plain or in gzip or zstd.", after},
	"too-long":                {414, "too-long", "The request is longer than the gateway reads.", after},
	"body-not-taken":          {400, "invalid", "A request of this kind must not have a body.", after},
	"body-broken":             {400, "invalid", "The body of the request did not arrive whole.", after},
	"body-slow":               {408, "timeout", "The body of the request did not arrive in time.", soon},
	"page-invalid":            {400, "invalid", "This link to another page is not valid for this app, or has expired. Repeat the search.", after},
	"origin":                  {403, "forbidden", "Web pages of this origin may not call the gateway. Its operators can allow the helpdesk app's.", never},
	"match-fact":              {400, "not-supported", "The gateway does not match patients by {}.", after},
	"too-many-candidates":     {422, "multiple-matches", "More records fit this search than may be shown at once. Ask for another detail, and search with it as well.", after},
	"patient-quota":           {429, "throttled", "This account has been told of as many different patients within an hour as it may. Patients of the last hour can still be looked up; others later.", soon},
	"break-glass-unavailable": {503, "exception", "The gateway cannot remember for how long emergency access is open, so it opens none. Its operators have been told.", soon},
	"quota-unavailable":       {503, "exception", "The gateway cannot count whom it tells of whom, so nothing may be disclosed. Its operators have been told.", soon},
	"break-glass-reason":      {403, "forbidden", "This is emergency access. The app has to state the reason for it (Break-Glass).", after},
	"break-glass-ticket":      {403, "forbidden", "Emergency access needs a ticket. Open one, and send its number with the call.", after},
	"break-glass-unused":      {403, "forbidden", "The hospital's policy has no emergency access for this call. Repeat it without the reason for one.", after},
	"break-glass-expired":     {403, "forbidden", "The emergency access under this ticket has ended. For more, a supervisor has to open a new ticket.", never},
	"too-many-calls":          {429, "throttled", "The app calls more often than it may. Wait a moment, and try again.", soon},
	"transaction-refused":     {424, "business-rule", "Another entry of the transaction was refused, so nothing of it was carried out.", after},
	"transaction-mixed":       {403, "forbidden", "The entries of one transaction have to be of one desk's minimum dataset. Send them apart.", never},
	"transaction-twice":       {400, "invalid", "Two entries of the transaction write the same resource.", after},
	"batch-timeout":           {504, "timeout", "The entries before this one took all the time that a batch may take. Ask for it again, in a smaller batch.", soon},
	"deadline-passed":         {504, "timeout", "The answer was not ready within the time for which the helpdesk app waits.", soon},
	"client-busy":             {429, "throttled", "The app has as many calls under way as it may have at once. Wait a moment, and try again.", soon},
	"overloaded":              {503, "throttled", "The gateway has as many calls as it can serve.", soon},
	"log-unavailable":         {503, "exception", "The access log cannot be written, so nothing may be disclosed. The gateway's operators have been told.", soon},
	"vault-unavailable":       {503, "exception", "Identifiers cannot be protected at the moment, so nothing may be disclosed. The gateway's operators have been told.", soon},
	"ehr-unreachable":         {502, "transient", "The EHR cannot be reached.", soon},
	"ehr-timeout":             {504, "timeout", "The EHR did not answer in time.", soon},
	"ehr-refused":             {502, "exception", "The EHR does not accept the gateway's own credentials. The gateway's operators have been told.", never},
	"ehr-token":               {503, "transient", "The EHR's sign-in service cannot be reached or gives nothing of use, so the EHR cannot be asked.", soon},
	"ehr-token-refused":       {502, "exception", "The EHR's sign-in service does not accept the gateway's own credentials. The gateway's operators have been told.", never},
	"ehr-caller-refused":      {403, "forbidden", "The EHR, or its sign-in service, does not let this user ask.", never},
	"ehr-invalid":             {502, "exception", "The EHR's answer was not valid FHIR JSON, so nothing of it was handed on.", soon},
	"ehr-cut":                 {502, "transient", "The EHR's answer ended before it was whole.", soon},
	"ehr-too-large":           {502, "too-costly", "The EHR's answer, or a resource in it, is larger than the gateway can check.", never},
	"ehr-rejected":            {400, "processing", "The EHR did not accept this request.", after},
	"ehr-busy":                {503, "throttled", "The EHR asks to be called less often.", soon},
	"ehr-full":                {503, "throttled", "The EHR has as many requests from the gateway as it is given at once. Try again in a moment.", soon},
	"ehr-breaker-open":        {503, "transient", "The EHR has failed several times just now, so it is left alone for a moment. Its operators may know more.", soon},
	"ehr-error":               {502, "exception", "The EHR reported an error of its own.", soon},
	"dataset-write":           {403, "forbidden", "The minimum dataset of this desk lets nothing of this type be written.", never},
	"not-writable":            {422, "business-rule", "This desk may not write the element {}, or not in this way.", after},
	"write-outside":           {403, "forbidden", "What this change would make is not this desk's to see, or belongs to another patient.", never},
	"unknown-reference":       {422, "not-found", "This app was not given what {} refers to.", after},
	"malformed-patch":         {400, "invalid", "The patch is not a well-formed JSON Patch.", after},
	"patch-place":             {422, "invalid", "The patch names a place that is not there, as this app sees the record.", after},
	"patch-test":              {409, "conflict", "A test in the patch failed: the record is not what the app took it for.", after},
	"no-such-target":          {404, "not-found", "There is no such resource to update, or this app may not know of it. A new one is created by POST, and the EHR gives it its id.", never},
	"version-required":        {428, "conflict", "The change has to say which version of the record it is meant for (If-Match). Read the record first.", after},
	"version-conflict":        {412, "conflict", "The record has changed since the app read it. Read it again, and repeat the change.", after},
	"condition-many":          {412, "multiple-matches", "The condition selects more than one resource, or cannot be decided for this app.", after},
	"ehr-unversioned":         {502, "exception", "The EHR names no version of this record, so it cannot be changed safely.", never},
	"ehr-conflict":            {409, "conflict", "The EHR did not make this change, because it conflicts with another record.", after},
	"write-unknown":           {502, "incomplete", "It is not known whether the EHR carried out this change. Look at the record before repeating it.", never},
	"write-unread":            {502, "incomplete", "The EHR carried out this change, but its answer could not be handed on. Do not repeat it; read the record.", never},
	"idempotency-other":       {422, "business-rule", "This Idempotency-Key was used for another request.", after},
	"idempotency-busy":        {409, "conflict", "The first request with this Idempotency-Key is still under way.", soon},
	"idempotency-full":        {503, "throttled", "The gateway remembers as many changes as it can, and cannot hold another to once.", soon},
	"client-gone":             {499, "transient", "The app closed the connection before the answer was ready.", soon},
	"internal":                {500, "exception", "The gateway met an error of its own. Its operators can find it by the correlation id.", soon},
}

// refusal makes the Refusal of a code.
func refusal(code string) *Refusal {
	a, ok := answers[code]
	if !ok {
		panic("gateway: no answer for the code " + code)
	}
	return &Refusal{Code: code, answer: a}
}

// naming puts a name into the sentence: a parameter, header or interaction, never a value.
func (r *Refusal) naming(name string) *Refusal {
	r.text = strings.Replace(r.text, "{}", name, 1)
	return r
}

// after says when to try again, in whole seconds (RFC 9110, section 10.2.3).
func (r *Refusal) after(d time.Duration) *Refusal {
	r.retryAfter = strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
	return r
}

// denied is the policy's own refusal, in the policy's own code and words.
func denied(dec *policies.Decision) *Refusal {
	r := refusal("policy-denied")
	if dec.Reason.Code != "" {
		r.Code = dec.Reason.Code
	}
	if dec.Reason.Text != "" {
		r.text = dec.Reason.Text
	}
	return r
}

// refused maps an error of any step. What it does not know is a 500 that says nothing.
func refused(err error) *Refusal {
	var (
		entry  *entryError
		own    *Refusal
		token  *auth.Error
		parse  *fhir.Error
		filter *transforms.Error
		write  *transforms.WriteError
		ehr    *upstream.Error
	)
	switch {
	case errors.As(err, &entry): // before what it wraps
		r := *refused(entry.err)
		r.entry = entry.number
		return &r
	case errors.As(err, &own):
		return own
	case errors.Is(err, accesslog.ErrPoisoned), errors.Is(err, accesslog.ErrClosed):
		return refusal("log-unavailable")
	case errors.Is(err, accesslog.ErrRecord): // a window names more subjects than a record holds
		return refusal("ehr-too-large")
	case errors.As(err, &token):
		return refusedToken(token)
	case errors.As(err, &parse):
		r := refusedRequest(parse)
		r.entry = parse.Entry
		return r
	case errors.Is(err, smart.ErrNoPatient):
		return refusal("scope-patient")
	case errors.Is(err, smart.ErrGranular):
		return refusal("scope-granular")
	case errors.Is(err, smart.ErrScope):
		return refusal("scope")
	case errors.Is(err, vault.ErrNotLink):
		return refusal("page-invalid")
	case errors.Is(err, vault.ErrMapping), errors.Is(err, vault.ErrNoMapping):
		return refusal("vault-unavailable")
	case errors.Is(err, vault.ErrNotID):
		return refusal("ehr-invalid")
	case errors.Is(err, vault.ErrTooLong):
		return refusal("ehr-too-large")
	case errors.As(err, &ehr): // before the filter's error, which wraps it where the body broke
		return refusedEHR(ehr)
	case errors.As(err, &write): // before the filter's, which it may wrap
		return refusedChange(write)
	case errors.As(err, &filter):
		return refusedAnswer(filter)
	case errors.Is(err, policies.ErrBudget): // a busy machine, perhaps: it may pass the next time
		r := refusal("policy-failed")
		r.status = http.StatusServiceUnavailable
		return r
	case errors.Is(err, policies.ErrUndefined), errors.Is(err, policies.ErrFailed), errors.Is(err, policies.ErrShape),
		errors.Is(err, policies.ErrDataset):
		return refusal("policy-failed")
	case errors.Is(err, context.Canceled):
		return refusal("client-gone")
	case errors.Is(err, context.DeadlineExceeded):
		return refusal("ehr-timeout")
	}
	return refusal("internal")
}

func refusedToken(e *auth.Error) *Refusal {
	switch e.Code {
	case auth.CodeUnavailable, auth.CodeMissing, auth.CodeReplays:
		return refusal(e.Code)
	case auth.CodeHeader:
		return refusal(e.Code).naming("Authorization")
	}
	r := refusal("token-invalid")
	switch {
	case e.Code == auth.CodeExpired:
		r = refusal(e.Code)
	case strings.HasPrefix(e.Code, "dpop-"):
		r = refusal("dpop-invalid")
	}
	r.Code, r.challenge, r.scheme, r.nonce = e.Code, e.Challenge(), e.Scheme, e.Nonce
	return r
}

// refusedRequest maps what could not be understood, or is understood and not offered.
func refusedRequest(e *fhir.Error) *Refusal {
	switch e.Kind {
	case fhir.MalformedPath, fhir.MalformedQuery, fhir.MethodOverride:
		return refusal("malformed-request")
	case fhir.UnknownType:
		return refusal("unknown-type")
	case fhir.MalformedID:
		return refusal("malformed-id")
	case fhir.MethodNotAllowed:
		r := refusal("method-not-allowed")
		r.allow = strings.Join(e.Allow, ", ")
		return r
	case fhir.UnsupportedInteraction:
		return refusal("not-supported").naming("the interaction " + string(e.Interaction))
	case fhir.UnknownParameter:
		return refusal("unknown-parameter").naming(e.Param)
	case fhir.BadParameter:
		return refusal("malformed-parameter").naming(e.Param)
	case fhir.NotSupported:
		r := refusal("not-supported").naming("the parameter " + parameterName(e))
		r.status = http.StatusBadRequest
		return r
	case fhir.MalformedHeader:
		return refusal("header-malformed").naming(e.Param)
	case fhir.NotAcceptable:
		return refusal("not-acceptable")
	case fhir.TooLong:
		return refusal("too-long")
	case fhir.MissingParameter:
		if e.Param == "" {
			return refusal("missing-parameter").naming("search parameters that select the resource")
		}
		return refusal("missing-parameter").naming("the parameter " + e.Param)
	case fhir.UnsupportedHeader:
		r := refusal("not-supported").naming("the header " + e.Param + " on this call")
		r.status = http.StatusBadRequest
		return r
	case fhir.UnsupportedMedia:
		return refusal("media-type")
	case fhir.UnexpectedBody:
		return refusal("body-not-taken")
	case fhir.MalformedBody:
		return refusal("malformed-body")
	case fhir.BodyMismatch:
		return refusal("body-mismatch")
	case fhir.TooLarge:
		return refusal("body-too-large")
	}
	return refusal("malformed-request")
}

func parameterName(e *fhir.Error) string {
	if e.Modifier != "" {
		return e.Param + ":" + e.Modifier
	}
	return e.Param
}

func refusedEHR(e *upstream.Error) *Refusal {
	switch e.Kind {
	case upstream.Timeout:
		return refusal("ehr-timeout")
	case upstream.Refused:
		return refusal("ehr-refused")
	case upstream.NoToken:
		return refusal("ehr-token")
	case upstream.TokenRefused:
		return refusal("ehr-token-refused")
	case upstream.CallerRefused:
		return refusal("ehr-caller-refused")
	case upstream.NotJSON, upstream.Encoding, upstream.Redirect, upstream.Malformed, upstream.Unexpected:
		return refusal("ehr-invalid")
	case upstream.TooLarge:
		return refusal("ehr-too-large")
	case upstream.Invalid:
		return refusal("internal")
	case upstream.Cut:
		return refusal("ehr-cut")
	case upstream.Canceled:
		return refusal("client-gone")
	case upstream.BreakerOpen:
		return refusal("ehr-breaker-open").after(e.RetryAfter)
	case upstream.Full:
		return refusal("ehr-full").after(e.RetryAfter)
	case upstream.Resting:
		return refusal("ehr-busy").after(e.RetryAfter)
	}
	return refusal("ehr-unreachable")
}

// refusedAnswer maps what the filter found in the EHR's answer. A resource that this caller
// may not know of is answered like one that does not exist.
func refusedAnswer(e *transforms.Error) *Refusal {
	switch e.Kind {
	case transforms.ErrNoRow, transforms.ErrCompartment, transforms.ErrLabel:
		return refusal("not-found")
	case transforms.ErrLookahead, transforms.ErrTooLong:
		return refusal("ehr-too-large")
	case transforms.ErrTruncated:
		return refusal("ehr-cut")
	case transforms.ErrToken:
		return refusal("vault-unavailable")
	case transforms.ErrSink:
		return refusal("client-gone")
	}
	return refusal("ehr-invalid")
}

// refusedChange maps why what a client wants written is refused. Its path is of element names.
func refusedChange(e *transforms.WriteError) *Refusal {
	switch {
	case errors.Is(e.Kind, transforms.ErrNotWritable):
		return refusal("not-writable").naming(cmp.Or(e.Path, "resource"))
	case errors.Is(e.Kind, transforms.ErrUnopened):
		return refusal("unknown-reference").naming("the element " + e.Path)
	case errors.Is(e.Kind, transforms.ErrNoRow), errors.Is(e.Kind, transforms.ErrCompartment), errors.Is(e.Kind, transforms.ErrLabel):
		return refusal("write-outside")
	case errors.Is(e.Kind, transforms.ErrPatch):
		return refusal("malformed-patch")
	case errors.Is(e.Kind, transforms.ErrPatchPlace):
		return refusal("patch-place")
	case errors.Is(e.Kind, transforms.ErrPatchTest):
		return refusal("patch-test")
	case errors.Is(e.Kind, transforms.ErrTooLong), errors.Is(e.Kind, transforms.ErrLookahead):
		return refusal("body-too-large")
	}
	return refusal("malformed-body")
}

// refusedStatus maps an EHR's answer that is not a resource.
func refusedStatus(resp *upstream.Response) *Refusal {
	switch resp.Status {
	case http.StatusNotFound, http.StatusGone:
		return refusal("not-found") // 410 would tell that it once existed
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return refusal("ehr-rejected")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		r := refusal("ehr-busy")
		r.status, r.retryAfter = resp.Status, resp.RetryAfter
		return r
	}
	return refusal("ehr-error")
}

// refuse records the refusal, and then answers it. Once part of a body has left, the
// stream is aborted instead: a cut answer must look cut.
func (g *Gateway) refuse(c *call, err error) {
	r := g.settle(c, err)
	if r == nil {
		panic(http.ErrAbortHandler) // a handler that returns without a word has answered 200
	}
	c.deny(r)
}

// settle records how a call ends that is not served, and returns what it is answered with; nil
// where part of an answer has left already, or nobody is there to take one.
func (g *Gateway) settle(c *call, err error) *Refusal {
	r := refused(err)
	if c.overdue(err) {
		r = refusal("deadline-passed")
	}
	if !c.released {
		r = c.fate.ended(r)
	}
	c.outcome(r)
	g.report(c, r, err)
	if c.released {
		c.cut(r)
		return nil
	}
	c.rec.Kind, c.rec.Status, c.rec.Code = accesslog.KindRefusal, r.status, r.Code
	c.rec.More, c.rec.Totals = false, nil
	if c.fate == unsent {
		c.rec.Written = nil
		if !c.looked {
			c.rec.Subjects, c.rec.Patients = nil, nil // nothing has left
		}
	}
	if recErr := c.commitRefusal(); recErr != nil && r.Code != "log-unavailable" && c.fate == unsent {
		r = refusal("log-unavailable")
		c.outcome(r)
	}
	if r.Code == "client-gone" {
		return nil
	}
	return r
}

// deny answers with a refusal that is recorded.
func (c *call) deny(r *Refusal) {
	h := c.w.Header()
	c.headers(h)
	if c.unread {
		h.Set("Connection", "close") // rather than wait for the rest of it
	}
	if r.status == http.StatusUnauthorized {
		for _, challenge := range challenges(r) {
			h.Add("WWW-Authenticate", challenge)
		}
		if r.nonce != "" {
			h.Set("DPoP-Nonce", r.nonce) // RFC 9449, section 9
		}
	}
	if r.allow != "" {
		h.Set("Allow", r.allow)
	}
	if r.retryAfter != "" {
		h.Set("Retry-After", r.retryAfter)
	} else if r.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	issue := fhir.Issue{Code: r.issue, Detail: r.Code, Text: r.text}
	if r.entry > 0 {
		issue.Expression = []string{"Bundle.entry[" + strconv.Itoa(r.entry-1) + "]"} // FHIRPath counts from 0
	}
	body := fhir.AppendOutcome(nil, fhir.Outcome{
		Issues:      []fhir.Issue{issue},
		Correlation: c.ids.correlation, Retry: r.retry,
	})
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(r.status)
	if !c.head {
		_, _ = c.w.Write(body) // the client has its status; there is nobody left to tell
	}
}

// challenges are RFC 6750, section 3, and RFC 9449, section 7.1: no error code where no token was
// sent, and then every scheme that there is.
func challenges(r *Refusal) []string {
	bearer := `Bearer realm="halfdoor"`
	proven := `DPoP realm="halfdoor", algs="` + strings.Join(auth.ProofAlgorithms(), " ") + `"`
	if r.challenge == "" {
		return []string{bearer, proven}
	}
	why := `, error="` + r.challenge + `", error_description="` + r.Code + `"`
	if r.scheme == auth.SchemeDPoP {
		return []string{proven + why}
	}
	return []string{bearer + why}
}
