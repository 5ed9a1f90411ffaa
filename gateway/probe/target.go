package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// mostBody is how much of an answer is read, in bytes.
const mostBody = 16 << 20

// target is the gateway under attack.
type target struct {
	base    *url.URL
	client  *http.Client
	tls     *tls.Config
	token   Token
	header  http.Header
	timeout time.Duration

	sent, most int
	fatal      error    // why nothing more is sent
	failures   []string // requests at which the gateway failed
}

func newTarget(base *url.URL, o Options) *target {
	t := &target{base: base, token: o.Token, header: o.Header, timeout: o.Timeout, most: o.Most,
		tls: &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12, ServerName: base.Hostname()}}
	t.client = newClient(t.tls, o.Timeout)
	return t
}

// newClient follows no redirect: it might lead to another place.
func newClient(config *tls.Config, timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: true, DisableCompression: true,
			MaxResponseHeaderBytes: 1 << 20},
	}
}

// request is one to the gateway.
type request struct {
	method string // default GET
	path   string // below the base, with its query
	token  Token  // "" sends none
	header []string
	body   string
}

// answer is what came back of a request.
type answer struct {
	what   string // "GET /Patient?…", for the evidence
	status int
	header http.Header
	body   []byte
	err    error // no answer, or one that was cut
}

// allowed says whether the gateway did as it was asked.
func (a answer) allowed() bool { return a.err == nil && a.status >= 200 && a.status < 300 }

// refused says whether the gateway said no: as an answer, or by hanging up.
func (a answer) refused() bool { return a.err != nil || a.status >= 400 && a.status < 500 }

func (a answer) json() gjson.Result { return gjson.ParseBytes(a.body) }

// entries are the resources of a Bundle, or the resource itself.
func (a answer) entries() []gjson.Result {
	doc := a.json()
	if doc.Get("resourceType").Str == "Bundle" {
		return doc.Get("entry.#.resource").Array()
	}
	if doc.Get("resourceType").Exists() {
		return []gjson.Result{doc}
	}
	return nil
}

// says is the answer in a few words, without its content.
func (a answer) says() string {
	switch {
	case a.err != nil:
		return "cut"
	case a.status >= 400:
		return fmt.Sprint(a.status)
	case a.json().Get("resourceType").Str == "Bundle":
		return fmt.Sprintf("%d with %d entries", a.status, len(a.entries()))
	}
	return fmt.Sprint(a.status)
}

// spend counts a request, and says whether it may be sent.
func (t *target) spend() bool {
	if t.fatal == nil && t.sent >= t.most {
		t.fatal = fmt.Errorf("%d requests were sent, which is the limit", t.sent)
	}
	if t.fatal != nil {
		return false
	}
	t.sent++
	return true
}

var errStopped = errors.New("not sent")

// address is the URL of a path below the base.
func (t *target) address(below string) string { return t.base.String() + below }

// below makes a link of the gateway's own relative to the base; false for another place.
func (t *target) below(link string) (string, bool) {
	rest, ok := strings.CutPrefix(link, t.base.String())
	return rest, ok && (rest == "" || rest[0] == '/' || rest[0] == '?')
}

// send makes one request. An error to connect ends the run, and so does a gateway that goes on
// to say that there are too many: such an answer shows nothing.
func (t *target) send(ctx context.Context, q request) answer {
	for range 3 {
		a := t.once(ctx, q)
		if a.status != http.StatusTooManyRequests {
			return a
		}
		seconds, _ := strconv.Atoi(a.header.Get("Retry-After")) // none is at once
		select {
		case <-time.After(min(time.Duration(max(seconds, 0)), 5) * time.Second):
		case <-ctx.Done():
		}
	}
	if t.fatal == nil {
		t.fatal = &Unreachable{What: "gateway", Err: errors.New("it limits this client's calls (429), and what it refuses for that shows nothing: give the probe a client with a higher limit")}
	}
	return answer{what: q.method + " " + shorten(q.path), err: errStopped}
}

func (t *target) once(ctx context.Context, q request) answer {
	if q.method == "" {
		q.method = http.MethodGet
	}
	a := answer{what: q.method + " " + shorten(q.path)}
	if !t.spend() {
		a.err = errStopped
		return a
	}
	var body io.Reader
	if q.body != "" {
		body = strings.NewReader(q.body)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, t.address(q.path), body)
	if err != nil {
		a.err = err
		return a
	}
	req.Header.Set("Accept", "application/fhir+json")
	if q.token != "" {
		for name, values := range t.header {
			req.Header[name] = values
		}
		req.Header.Set("Authorization", "Bearer "+string(q.token))
	}
	for i := 0; i+1 < len(q.header); i += 2 {
		req.Header.Set(q.header[i], q.header[i+1])
	}
	resp, err := t.client.Do(req)
	if err != nil {
		a.err = t.broken(ctx, err)
		return a
	}
	defer resp.Body.Close()
	a.status, a.header = resp.StatusCode, resp.Header
	a.body, a.err = io.ReadAll(io.LimitReader(resp.Body, mostBody))
	if a.status == http.StatusInternalServerError {
		t.failures = append(t.failures, a.what)
	}
	return a
}

// broken tells a gateway that is not there, which ends the run, from one that hung up.
func (t *target) broken(ctx context.Context, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // the URL is told already
	}
	var op *net.OpError
	switch {
	case ctx.Err() != nil:
		t.fatal = fmt.Errorf("ended before all was tried: %w", context.Cause(ctx))
	case errors.As(err, &op) && op.Op == "dial", isCertificate(err):
		t.fatal = &Unreachable{What: "gateway", Err: err}
	}
	return err
}

func isCertificate(err error) bool {
	var c *tls.CertificateVerificationError
	return errors.As(err, &c)
}

// shorten is for the evidence: a request of a megabyte is not quoted.
func shorten(s string) string {
	const most = 160
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return '␀'
		}
		return r
	}, s)
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// host is the gateway's host and port.
func (t *target) host() string {
	if t.base.Port() != "" {
		return t.base.Host
	}
	if t.base.Scheme == "https" {
		return net.JoinHostPort(t.base.Hostname(), "443")
	}
	return net.JoinHostPort(t.base.Hostname(), "80")
}

// holds says whether s stands in an answer, in its body or a header; where tells of it.
func (a answer) holds(s string) (where string, ok bool) {
	for name, values := range a.header {
		for _, v := range values {
			if strings.Contains(v, s) {
				return "header " + name, true
			}
		}
	}
	at := bytes.Index(a.body, []byte(s))
	if at < 0 {
		return "", false
	}
	if gjson.ValidBytes(a.body) {
		if p, ok := placeWhere(a.json(), func(_, value string) bool { return strings.Contains(value, s) }); ok {
			return p, true
		}
	}
	return fmt.Sprintf("byte %d of the body", at), true
}

// placeWhere is where in a document a value stands that fits: "entry[0].resource.address[0].city".
func placeWhere(v gjson.Result, fits func(name, value string) bool) (at string, found bool) {
	n := 0
	v.ForEach(func(key, e gjson.Result) bool {
		step := key.Str
		if v.IsArray() {
			step = fmt.Sprintf("[%d]", n)
		}
		n++
		if !e.IsObject() && !e.IsArray() {
			at, found = step, fits(key.Str, e.String())
			return !found
		}
		below, ok := placeWhere(e, fits)
		if !ok {
			return true
		}
		if below != "" && below[0] != '[' {
			step += "."
		}
		at, found = step+below, true
		return false
	})
	return at, found
}
