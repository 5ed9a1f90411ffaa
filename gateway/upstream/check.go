package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
)

// maxStatement bounds how much of a capability statement is read; large servers' take a few MiB.
const maxStatement = 16 << 20

// Check asks the EHR for its capability statement at each of its addresses, and is nil where all have one: they are up, and
// each is a FHIR server that takes our credentials, as far as it wants any for this. What is wrong with each is an *Error;
// where there are several addresses, it is told with its own.
func (e *EHR) Check(ctx context.Context) error {
	var all []error
	for _, a := range e.at.all {
		err := e.check(ctx, a)
		if err != nil && len(e.at.all) > 1 {
			err = fmt.Errorf("%s: %w", a.base, err)
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

func (e *EHR) check(ctx context.Context, a *address) error {
	resp, err := e.do(ctx, Call{Method: http.MethodGet, Path: "metadata"}, &addresses{all: []*address{a}})
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
