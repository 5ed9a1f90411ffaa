package upstream

import (
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// accept decides what becomes of an answer; b is its body.
func (e *EHR) accept(resp *http.Response, b *body, writes bool) (*Response, *Error) {
	refuse := func(kind Kind, reason string) (*Response, *Error) {
		return nil, &Error{Kind: kind, EHR: e.o.Name, Reason: reason, Status: resp.StatusCode}
	}
	coding, known := codingOf(resp.Header)
	json := isJSON(resp.Header)
	// A write may be answered without a body, and then without a word on its type.
	bodiless := writes && (resp.ContentLength == 0 || resp.Header["Content-Type"] == nil)
	status := resp.StatusCode
	good := status == http.StatusOK || writes && (status == http.StatusCreated || status == http.StatusNoContent)
	switch {
	case e.NeedsCaller() && (status == http.StatusForbidden || status == http.StatusUnauthorized && e.o.InsecureForwardCaller):
		return refuse(CallerRefused, "the EHR does not let the caller ask")
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusProxyAuthRequired:
		return refuse(Refused, "the gateway's own credentials are not taken")
	case status >= 300 && status < 400 && status != http.StatusNotModified:
		return refuse(Redirect, "the answer points elsewhere")
	case !good && status < 400 && writes:
		return refuse(Unexpected, "the status answers no write")
	case !good && status < 400:
		return refuse(Unexpected, "the status answers no read")
	case good && bodiless:
		_ = b.Close()
		b.err = io.EOF
	case good && !known:
		return refuse(Encoding, "the answer has a content coding that is not decoded")
	case good && !json:
		return refuse(NotJSON, "the answer is not JSON in UTF-8")
	case good && coding == "" && e.o.MaxBody > 0 && resp.ContentLength > e.o.MaxBody:
		return refuse(TooLarge, "the answer is longer than its bound")
	case !known || !json:
		// A server's error page says nothing that the gateway would pass on.
		_ = b.Close()
		b.err = io.EOF
	case coding != "" && resp.Request.Method != http.MethodHead: // which has the header of a body, and none
		b.coding, b.decoder = coding, e.decoders.get(coding, wire{b})
	}
	return &Response{
		Status:          resp.StatusCode,
		ETag:            entityTag(resp.Header.Get("ETag")),
		LastModified:    httpDate(resp.Header.Get("Last-Modified")),
		RetryAfter:      e.retryAfter(resp.Header.Get("Retry-After")),
		Location:        location(resp.Header.Get("Location")),
		ContentLocation: location(resp.Header.Get("Content-Location")),
		Body:            b,
	}, nil
}

// location returns a header's value where a URL could be written so.
func location(value string) string {
	if len(value) > maxTarget || !visible(value, "") {
		return ""
	}
	return value
}

// isJSON says whether a body is declared, once, as FHIR's JSON or JSON, in UTF-8 or without a word on it.
func isJSON(h http.Header) bool {
	values := h.Values("Content-Type")
	if len(values) != 1 {
		return false
	}
	kind, params, err := mime.ParseMediaType(values[0])
	if err != nil || kind != "application/fhir+json" && kind != "application/json" {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}

// entityTag returns a header's value where it is an entity tag (RFC 9110, section 8.8.3).
func entityTag(value string) string {
	opaque := strings.TrimPrefix(value, "W/")
	if len(value) > 128 || len(opaque) < 2 || opaque[0] != '"' || opaque[len(opaque)-1] != '"' ||
		!visible(opaque, "") || strings.Contains(opaque[1:len(opaque)-1], `"`) {
		return ""
	}
	return value
}

// httpDate returns a header's value where it is a date, in the one form that a sender may use (RFC 9110, section 5.6.7).
func httpDate(value string) string {
	if value == "" {
		return "" // most have none, and each form that it has not makes an error
	}
	t, err := http.ParseTime(value)
	if err != nil {
		return ""
	}
	return t.UTC().Format(http.TimeFormat)
}

// longestWait is what a client is told at most of when to come back.
const longestWait = 24 * time.Hour

// retryAfter returns a header's value where it is seconds, or a date, of at most a day (RFC 9110, section 10.2.3).
func (e *EHR) retryAfter(value string) string {
	if value == "" {
		return ""
	}
	if n, err := strconv.ParseUint(value, 10, 32); err == nil {
		return strconv.FormatUint(min(n, uint64(longestWait.Seconds())), 10)
	}
	date := httpDate(value)
	if date == "" {
		return ""
	}
	if at, err := http.ParseTime(date); err == nil && at.Sub(e.o.Now()) > longestWait {
		return e.o.Now().Add(longestWait).UTC().Format(http.TimeFormat)
	}
	return date
}
