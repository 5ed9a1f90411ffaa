package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"crypto/tls"

	"github.com/tidwall/gjson"
)

// ehr is the server behind the gateway, as its owner reaches it.
type ehr struct {
	base    *url.URL
	client  *http.Client
	token   Token
	planted []planted
}

// planted is a canary resource that is there.
type planted struct {
	planting
	id   string // the EHR's
	body []byte
}

func newEHR(base *url.URL, o Options) *ehr {
	return &ehr{base: base, token: o.EHRToken,
		client: newClient(&tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12, ServerName: base.Hostname()}, o.Timeout)}
}

// do makes one call and returns the answer's body.
func (e *ehr) do(ctx context.Context, method, path string, body []byte) (status int, header http.Header, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, e.base.String()+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header.Set("Accept", "application/fhir+json")
	if body != nil {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	if e.token != "" {
		req.Header.Set("Authorization", "Bearer "+string(e.token))
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, mostBody))
	return resp.StatusCode, resp.Header, answer, err
}

// create plants one resource and returns its id.
func (e *ehr) create(ctx context.Context, kind string, body []byte) (string, error) {
	status, header, answer, err := e.do(ctx, http.MethodPost, "/"+kind, body)
	if err != nil {
		return "", err
	}
	if status != http.StatusCreated && status != http.StatusOK {
		return "", fmt.Errorf("it answers %d to a create of %s", status, kind)
	}
	if id := gjson.GetBytes(answer, "id").Str; id != "" && gjson.GetBytes(answer, "resourceType").Str == kind {
		return id, nil
	}
	_, id, ok := strings.Cut(header.Get("Location"), "/"+kind+"/")
	if id, _, _ = strings.Cut(id, "/"); !ok || id == "" {
		return "", fmt.Errorf("it does not say under which id it made a %s", kind)
	}
	return id, nil
}

// current is what stands under an id now.
func (e *ehr) current(ctx context.Context, kind, id string) (body []byte, ok bool) {
	status, _, body, err := e.do(ctx, http.MethodGet, "/"+kind+"/"+id, nil)
	return body, err == nil && status == http.StatusOK
}

func (e *ehr) remove(ctx context.Context, kind, id string) bool {
	status, _, _, err := e.do(ctx, http.MethodDelete, "/"+kind+"/"+id, nil)
	return err == nil && (status < 300 || status == http.StatusNotFound || status == http.StatusGone)
}

// id is the EHR's id of what was planted under a key.
func (e *ehr) id(key string) string {
	for _, p := range e.planted {
		if p.key == key {
			return p.id
		}
	}
	return ""
}

// plant makes the canary resources. A type that the EHR does not take is left out, but for the
// patient.
func (r *run) plant(ctx context.Context) error {
	for _, p := range plantings(r.o.Patient) {
		from := len(r.canaries.all)
		doc := p.body(sheet{r.canaries, p.key, p.kind}, r.ehr.id)
		doc["resourceType"] = p.kind
		body, err := json.Marshal(doc)
		if err != nil {
			return err
		}
		id, err := r.ehr.create(ctx, p.kind, body)
		if err != nil && p.kind == "Patient" {
			return &Unreachable{What: "EHR", Err: err}
		}
		if err != nil {
			r.canaries.all = r.canaries.all[:from]
			r.notes = append(r.notes, "no canary "+p.kind+": the EHR does not take one: "+err.Error())
			continue
		}
		r.ehr.planted = append(r.ehr.planted, planted{p, id, body})
		if err := r.judge.hide(r.canaries.all[from:], body, p.closed); err != nil {
			return err
		}
	}
	return r.ehr.await(ctx, r.canaries)
}

// await waits until a search finds what was planted: some EHRs make their indexes later.
func (e *ehr) await(ctx context.Context, c *canaries) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for range 50 {
		status, _, body, err := e.do(ctx, http.MethodGet, "/Patient?"+c.identifier("patient"), nil)
		if err != nil {
			return &Unreachable{What: "EHR", Err: err}
		}
		if status == http.StatusOK && gjson.GetBytes(body, "entry.0").Exists() {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return &Unreachable{What: "EHR", Err: fmt.Errorf("a search does not find the canary patient")}
}

// unplant removes what was planted, last first, and what was made through the gateway under
// this run's name. It returns what is left.
func (e *ehr) unplant(ctx context.Context, c *canaries) (left []string) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, p := range slices.Backward(e.planted) {
		if !e.remove(ctx, p.kind, p.id) {
			left = append(left, p.kind+"/"+p.id)
		}
	}
	for kind, key := range madeBelow {
		for range 8 {
			_, _, body, err := e.do(ctx, http.MethodGet, "/"+kind+"?"+c.identifier(key), nil)
			id := gjson.GetBytes(body, "entry.0.resource.id").Str
			if err != nil || id == "" {
				break
			}
			if !e.remove(ctx, kind, id) {
				left = append(left, kind+"/"+id)
				break
			}
		}
	}
	return left
}

// madeBelow are the names under which a gateway may have been made to create something.
var madeBelow = map[string]string{"Patient": "conditional", "Basic": "typed"}
