package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
)

// maxStatement bounds how much of a capability statement is read; large servers' take a few MiB.
const maxStatement = 16 << 20

// Check asks the EHR for its capability statement, and is nil where it has one: it is up, and it is a FHIR server that
// takes our credentials, as far as it wants any for this. Its error is always an *Error.
func (e *EHR) Check(ctx context.Context) error {
	resp, err := e.Do(ctx, Call{Method: http.MethodGet, Path: "metadata"})
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.Status != http.StatusOK {
		return &Error{Kind: Unexpected, EHR: e.o.Name, Reason: "no capability statement", Status: resp.Status}
	}
	kind, err := resourceType(io.LimitReader(resp.Body, maxStatement))
	var failed *Error
	if errors.As(err, &failed) {
		return failed
	}
	if err != nil || kind != "CapabilityStatement" {
		return &Error{Kind: NotJSON, EHR: e.o.Name, Reason: "metadata is no capability statement", Status: resp.Status}
	}
	return nil
}

// resourceType finds the type of a resource, wherever in it that comes, without holding the rest.
func resourceType(r io.Reader) (string, error) {
	d := jsontext.NewDecoder(r, jsontext.AllowDuplicateNames(true))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return "", errors.Join(err, errors.New("not an object"))
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return "", err
		}
		if name.String() == "resourceType" {
			value, err := d.ReadToken()
			if err != nil || value.Kind() != '"' {
				return "", errors.Join(err, errors.New("no type"))
			}
			return value.String(), nil
		}
		if err := d.SkipValue(); err != nil {
			return "", err
		}
	}
	_, err := d.ReadToken()
	return "", errors.Join(err, errors.New("no type"))
}
