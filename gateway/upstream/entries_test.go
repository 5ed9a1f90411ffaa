package upstream_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/halfdoor/halfdoor/gateway/upstream"
)

// entries reads them all.
func entries(body io.Reader) (all []string, err error) {
	ehr, err := upstream.New(upstream.Options{Name: "main", BaseURL: "https://ehr.example/fhir"})
	if err != nil {
		return nil, err
	}
	list := ehr.Entries(&upstream.Response{Status: http.StatusOK, Body: io.NopCloser(body)})
	for {
		e, err := list.Next()
		if err != nil {
			if _, again := list.Next(); again != err {
				return all, errors.New("the next one says something else")
			}
			return all, err
		}
		text, err := io.ReadAll(e.Body)
		if err != nil {
			return all, err
		}
		all = append(all, strings.Join([]string{http.StatusText(e.Status), e.Location, e.ETag, e.LastModified, string(text)}, " "))
	}
}

const answered = `{"resourceType":"Bundle","id":"b","type":"transaction-response","link":[{"relation":"self"}],"entry":[` +
	`{"fullUrl":"x","resource":{"resourceType":"Patient","id":"1","name":[{"family":"\ud83d\ude00"}]},"response":{"status":"201 Created","location":"Patient/1/_history/1","etag":"W/\"1\"","lastModified":"2026-03-04T05:06:07.123+01:00"}}, ` +
	`{"response":{"lastModified":"yesterday","etag":"one","location":"a b","outcome":{"resourceType":"OperationOutcome"},"status":"200"}},{"response":{"status":"204 No Content"}}]}`

func TestEntries(t *testing.T) {
	want := []string{
		`Created Patient/1/_history/1 W/"1" Wed, 04 Mar 2026 04:06:07 GMT {"resourceType":"Patient","id":"1","name":[{"family":"\ud83d\ude00"}]}`,
		`OK    {"resourceType":"OperationOutcome"}`,
		`No Content    `,
	}
	for name, in := range map[string]io.Reader{
		"whole": strings.NewReader(answered), "byte by byte": iotest.OneByteReader(strings.NewReader(answered)),
		"type last": strings.NewReader(strings.Replace(answered, `"type":"transaction-response",`, "", 1)[:len(answered)-len(`"type":"transaction-response",`)-1] + `,"type":"transaction-response"}`),
	} {
		got, err := entries(in)
		if err != io.EOF || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: %v\n%s", name, err, strings.Join(got, "\n"))
		}
	}
	if got, err := entries(strings.NewReader(`{"resourceType":"Bundle","type":"transaction-response"}`)); err != io.EOF || len(got) != 0 {
		t.Errorf("without entries: %v %v", got, err)
	}
}

// What is no whole transaction-response never ends well, wherever it breaks.
func TestEntriesThatAreNone(t *testing.T) {
	for n := range len(answered) {
		if _, err := entries(strings.NewReader(answered[:n])); !errors.Is(err, upstream.Malformed) {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
	}
	cut := errors.New("cut")
	if _, err := entries(io.MultiReader(strings.NewReader(answered[:200]), iotest.ErrReader(&upstream.Error{Kind: upstream.Cut}))); !errors.Is(err, upstream.Cut) {
		t.Errorf("a body that breaks: %v", err)
	}
	if _, err := entries(iotest.ErrReader(cut)); !errors.Is(err, upstream.Malformed) {
		t.Errorf("another error: %v", err)
	}
	replace := func(from, to string) string {
		if !strings.Contains(answered, from) {
			t.Fatalf("no %s in the answer", from)
		}
		return strings.Replace(answered, from, to, 1)
	}
	for name, body := range map[string]string{
		"batch-response":   replace("transaction-response", "batch-response"),
		"no type":          replace(`"type":"transaction-response",`, ""),
		"two types":        replace(`"id":"b"`, `"type":"transaction-response"`),
		"no resourceType":  replace(`"resourceType":"Bundle",`, ""),
		"another resource": replace(`"resourceType":"Bundle"`, `"resourceType":"Patient"`),
		"entries twice":    replace(`"id":"b"`, `"\u0065ntry":[]`),
		"entry no array":   replace(`"id":"b"`, `"entry":{}`),
		"a number":         replace(`{"response":{"status":"204 No Content"}}`, "7"),
		"no response":      replace(`{"response":{"status":"204 No Content"}}`, "{}"),
		"no status":        replace(`"204 No Content"`, "204"),
		"status 2040":      replace(`"204 No Content"`, `"2040"`),
		"status 1xx":       replace(`"204 No Content"`, `"100"`),
		"status twice":     replace(`"status":"204 No Content"`, `"status":"204","\u0073tatus":"200"`),
		"resource twice":   replace(`"fullUrl":"x"`, `"resource":{}`),
		"something behind": answered + "{}",
		"an array":         "[" + answered + "]",
		"a text":           `"` + "Bundle" + `"`,
		"nothing":          "",
	} {
		if got, err := entries(strings.NewReader(body)); !errors.Is(err, upstream.Malformed) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// An entry is held whole, and so bounded.
func TestEntriesAreBounded(t *testing.T) {
	long := func(n int) string {
		return strings.Replace(answered, `"fullUrl":"x"`, `"fullUrl":"`+strings.Repeat("x", n)+`"`, 1)
	}
	if got, err := entries(strings.NewReader(long(3 << 20))); err != io.EOF || len(got) != 3 {
		t.Errorf("3 MiB: %d, %v", len(got), err)
	}
	if _, err := entries(strings.NewReader(long(5 << 20))); !errors.Is(err, upstream.TooLarge) {
		t.Errorf("5 MiB: %v", err)
	}
}
