package fhir_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

const (
	isJSON  = "Content-Type: application/fhir+json"
	isPatch = "Content-Type: application/json-patch+json"
	isForm  = "Content-Type: application/x-www-form-urlencoded"
)

// with is a message with a body.
func with(line, body string, headers ...string) fhir.Message {
	m := message(line, headers...)
	m.Body = []byte(body)
	return m
}

func TestWrites(t *testing.T) {
	const task, patch = `{"resourceType":"Task","status":"done"}`, `[{"op":"remove","path":"/note"}]`
	const known = `{"id":"1","resourceType":"Task"}`
	for _, test := range []struct {
		name string
		in   fhir.Message
		want fhir.Request // without Params
		sent string       // as a query
	}{
		{"create", with("POST /Task", task, isJSON), fhir.Request{Interaction: fhir.Create, Type: "Task", Input: []byte(task)}, ""},
		{"create, spaced", with("POST /Task?_format=json&_pretty=true", " \n"+task+"\t", "Content-Type: application/json; charset=UTF-8"),
			fhir.Request{Interaction: fhir.Create, Type: "Task", Input: []byte(task), Pretty: true}, ""},
		{"create, versioned type", with("POST /Task", task, isJSON+`; fhirVersion="4.0"; charset="utf-8"`), fhir.Request{Interaction: fhir.Create, Type: "Task", Input: []byte(task)}, ""},
		{"create, a type spelt with escapes", with("POST /Task", `{"resource\u0054ype":"Tas\u006b"}`, isJSON),
			fhir.Request{Interaction: fhir.Create, Type: "Task", Input: []byte(`{"resource\u0054ype":"Tas\u006b"}`)}, ""},
		{"create, preferring", with("POST /Task", task, isJSON, "Prefer: return=minimal, return=representation", "Idempotency-Key: 8e03978e-40d5"),
			fhir.Request{Interaction: fhir.Create, Type: "Task", Input: []byte(task), Return: "minimal", IdempotencyKey: "8e03978e-40d5"}, ""},
		{"create, quoted key", with("POST /Task", task, isJSON, `Prefer: return="operationoutcome"`, `Idempotency-Key: "a:b/c"`),
			fhir.Request{Interaction: fhir.Create, Type: "Task", Input: []byte(task), Return: "OperationOutcome", IdempotencyKey: "a:b/c"}, ""},
		{"create, another preference", with("POST /Task", task, isJSON, "Prefer: return=everything, respond-async"), fhir.Request{Interaction: fhir.Create, Type: "Task", Input: []byte(task)}, ""},
		{"create unless it exists", with("POST /Task", task, isJSON, "If-None-Exist: identifier=urn:x|a%2Cb&status=ready"),
			fhir.Request{Interaction: fhir.Create, Type: "Task", Input: []byte(task), Conditional: true}, "identifier=urn:x%7Ca,b&status=ready"},
		{"create unless it exists, by a chain", with("POST /Task", task, isJSON, "If-None-Exist: patient.birthdate=1970"),
			fhir.Request{Interaction: fhir.Create, Type: "Task", Input: []byte(task), Conditional: true}, "patient:Patient.birthdate=1970"},
		{"update", with("PUT /Task/1", known, isJSON, `If-Match: W/"3"`), fhir.Request{Interaction: fhir.Update, Type: "Task", ID: "1", Input: []byte(known), IfMatch: "3"}, ""},
		{"update, strong tag", with("PUT /Task/1", known, isJSON, `If-Match: "a-1"`), fhir.Request{Interaction: fhir.Update, Type: "Task", ID: "1", Input: []byte(known), IfMatch: "a-1"}, ""},
		{"update what is found", with("PUT /Task?identifier=x", task, isJSON), fhir.Request{Interaction: fhir.Update, Type: "Task", Input: []byte(task), Conditional: true}, "identifier=x"},
		{"patch", with("PATCH /Task/1", patch, isPatch, `If-Match: W/"3"`), fhir.Request{Interaction: fhir.Patch, Type: "Task", ID: "1", Input: []byte(patch), IfMatch: "3"}, ""},
		{"patch what is found", with("PATCH /Task?_id=1&status=ready", patch, isPatch), fhir.Request{Interaction: fhir.Patch, Type: "Task", Input: []byte(patch), Conditional: true}, "_id=1&status=ready"},
		{"delete", with("DELETE /Task/1", "", `If-Match: W/"3"`), fhir.Request{Interaction: fhir.Delete, Type: "Task", ID: "1", IfMatch: "3"}, ""},
		{"delete what is found", with("DELETE /Task?identifier=x", ""), fhir.Request{Interaction: fhir.Delete, Type: "Task", Conditional: true}, "identifier=x"},
		{"operation on the system", with("POST /$convert", task, isJSON), fhir.Request{Interaction: fhir.Operation, Operation: "convert", Input: []byte(task)}, ""},
		{"operation on a type", with("POST /Patient/$match", `{"resourceType":"Parameters"}`, isJSON, "Idempotency-Key: k"),
			fhir.Request{Interaction: fhir.Operation, Type: "Patient", Operation: "match", Input: []byte(`{"resourceType":"Parameters"}`), IdempotencyKey: "k"}, ""},
		{"operation on an instance", with("POST /Patient/1/$everything", ""), fhir.Request{Interaction: fhir.Operation, Type: "Patient", ID: "1", Operation: "everything"}, ""},
		{"operation on a version", with("GET /Patient/1/_history/2/$meta", ""), fhir.Request{Interaction: fhir.Operation, Type: "Patient", ID: "1", Version: "2", Operation: "meta"}, ""},
		{"operation by GET", with("GET /Patient/1/$everything?start=2020&_type=Slot,Task&_format=json&start=a", ""),
			fhir.Request{Interaction: fhir.Operation, Type: "Patient", ID: "1", Operation: "everything"}, "start=2020&_type=Slot%2CTask&start=a"},
		{"operation by HEAD", with("HEAD /%24export", ""), fhir.Request{Interaction: fhir.Operation, Operation: "export", Head: true}, ""},
		{"read with a known version", with("GET /Task/1", "", `If-None-Match: W/"3"`), fhir.Request{Interaction: fhir.Read, Type: "Task", ID: "1", IfNoneMatch: "3"}, ""},
		{"read with several", with("GET /Task/1", "", `If-None-Match: W/"3", W/"4"`), fhir.Request{Interaction: fhir.Read, Type: "Task", ID: "1"}, ""},
		{"read with any", with("GET /Task/1", "", `If-None-Match: *`, `If-Match: W/"9"`), fhir.Request{Interaction: fhir.Read, Type: "Task", ID: "1"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := fhir.Parse(test.in, fhir.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if r.Encode() != test.sent {
				t.Errorf("sends %s", r.Encode())
			}
			if r.Params = nil; !reflect.DeepEqual(*r, test.want) {
				t.Errorf("got %+v, want %+v", *r, test.want)
			}
		})
	}
}

func TestWriteRefusals(t *testing.T) {
	const task, patch = `{"resourceType":"Task"}`, `[{"op":"remove","path":"/note"}]`
	deep := strings.Repeat(`{"a":`, 99) + "1" + strings.Repeat("}", 99)
	for _, test := range []struct {
		name string
		in   fhir.Message
		kind fhir.Kind
	}{
		// The body's form.
		{"no body", with("POST /Task", "", isJSON), fhir.MalformedBody},
		{"no body at all", with("POST /Task", ""), fhir.MalformedBody},
		{"not JSON", with("POST /Task", "<Task/>", isJSON), fhir.MalformedBody},
		{"not an object", with("POST /Task", `["Task"]`, isJSON), fhir.MalformedBody},
		{"null", with("POST /Task", `null`, isJSON), fhir.MalformedBody},
		{"two values", with("POST /Task", task+task, isJSON), fhir.MalformedBody},
		{"cut", with("POST /Task", task[:len(task)-1], isJSON), fhir.MalformedBody},
		{"byte order mark", with("POST /Task", "\ufeff"+task, isJSON), fhir.MalformedBody},
		{"not UTF-8", with("POST /Task", `{"resourceType":"Task","description":"`+"\xff"+`"}`, isJSON), fhir.MalformedBody},
		{"lone surrogate", with("POST /Task", `{"resourceType":"Task","description":"\ud800"}`, isJSON), fhir.MalformedBody},
		{"NUL", with("POST /Task", `{"resourceType":"Task","description":"\u0000"}`, isJSON), fhir.MalformedBody},
		{"control in a key", with("POST /Task", `{"resourceType":"Task","a\u0001":1}`, isJSON), fhir.MalformedBody},
		{"key twice", with("POST /Task", `{"resourceType":"Task","status":"a","status":"b"}`, isJSON), fhir.MalformedBody},
		{"key twice, escaped", with("POST /Task", `{"resourceType":"Patient","resourceTyp\u0065":"Task"}`, isJSON), fhir.MalformedBody},
		{"key twice, deep", with("POST /Task", `{"resourceType":"Task","note":[{"text":"a"},{"text":"b","x":{"y":1,"y":1}}]}`, isJSON), fhir.MalformedBody},
		{"key twice, in a patch", with("PATCH /Task/1", `[{"op":"test","op":"remove","path":"/note"}]`, isPatch), fhir.MalformedBody},
		{"too deep", with("POST /Task", `{"resourceType":"Task","x":{"y":`+deep+`}}`, isJSON), fhir.MalformedBody},
		{"no type", with("POST /Task", `{"status":"done"}`, isJSON), fhir.MalformedBody},
		{"a type that is no text", with("POST /Task", `{"resourceType":["Task"]}`, isJSON), fhir.MalformedBody},
		{"a type in other letters", with("POST /Task", `{"ResourceType":"Task"}`, isJSON), fhir.MalformedBody},
		{"an id that is no text", with("PUT /Task/1", `{"resourceType":"Task","id":1}`, isJSON), fhir.MalformedBody},
		{"an empty id", with("POST /Task", `{"resourceType":"Task","id":""}`, isJSON), fhir.MalformedBody},
		{"a null id", with("POST /Task", `{"resourceType":"Task","id":null}`, isJSON), fhir.MalformedBody},
		{"a patch that is no list", with("PATCH /Task/1", `{"op":"remove","path":"/note"}`, isPatch), fhir.MalformedBody},
		{"an empty patch", with("PATCH /Task/1", `[]`, isPatch), fhir.MalformedBody},
		{"an operation's list", with("POST /Patient/$match", `[]`, isJSON), fhir.MalformedBody},
		{"an operation's unknown type", with("POST /Patient/$match", `{"resourceType":"Nope"}`, isJSON), fhir.MalformedBody},
		// What it is about.
		{"another type", with("POST /Task", `{"resourceType":"Patient"}`, isJSON), fhir.BodyMismatch},
		{"another type, updated", with("PUT /Task/1", `{"resourceType":"Patient","id":"1"}`, isJSON), fhir.BodyMismatch},
		{"another id", with("PUT /Task/1", `{"resourceType":"Task","id":"12"}`, isJSON), fhir.BodyMismatch},
		{"another id, escaped", with("PUT /Task/1", `{"resourceType":"Task","\u0069d":"2"}`, isJSON), fhir.BodyMismatch},
		{"no id", with("PUT /Task/1", task, isJSON), fhir.BodyMismatch},
		{"an id to create", with("POST /Task", `{"resourceType":"Task","id":"1"}`, isJSON), fhir.BodyMismatch},
		{"an id for what is found", with("PUT /Task?identifier=x", `{"resourceType":"Task","id":"1"}`, isJSON), fhir.BodyMismatch},
		// Its media type.
		{"no media type", with("POST /Task", task), fhir.UnsupportedMedia},
		{"XML", with("POST /Task", task, "Content-Type: application/fhir+xml"), fhir.UnsupportedMedia},
		{"text", with("POST /Task", task, "Content-Type: text/plain"), fhir.UnsupportedMedia},
		{"text/json", with("POST /Task", task, "Content-Type: text/json"), fhir.UnsupportedMedia},
		{"several", with("POST /Task", task, "Content-Type: application/fhir+json, application/json"), fhir.UnsupportedMedia},
		{"twice", with("POST /Task", task, isJSON, isJSON), fhir.MalformedHeader},
		{"twice, in other letters", with("POST /Task", task, isJSON, "content-type: text/plain"), fhir.MalformedHeader},
		{"empty", with("POST /Task", task, "Content-Type: "), fhir.MalformedHeader},
		{"UTF-16", with("POST /Task", task, isJSON+"; charset=utf-16"), fhir.UnsupportedMedia},
		{"R5", with("POST /Task", task, isJSON+"; fhirVersion=5.0"), fhir.UnsupportedMedia},
		{"form to create", with("POST /Task", "a=b", isForm), fhir.UnsupportedMedia},
		{"patch to create", with("POST /Task", patch, isPatch), fhir.UnsupportedMedia},
		{"form, empty", with("POST /Task", "", isForm), fhir.UnsupportedMedia},
		{"FHIRPath patch", with("PATCH /Task/1", `{"resourceType":"Parameters"}`, isJSON), fhir.UnsupportedMedia},
		{"XML patch", with("PATCH /Task/1", "<diff/>", "Content-Type: application/xml-patch+xml"), fhir.UnsupportedMedia},
		{"merge patch", with("PATCH /Task/1", task, "Content-Type: application/merge-patch+json"), fhir.UnsupportedMedia},
		{"compressed", with("POST /Task", task, isJSON, "Content-Encoding: gzip"), fhir.UnsupportedMedia},
		{"compressed, nothing", with("POST /Patient/$match", "", "Content-Encoding: br"), fhir.UnsupportedMedia},
		{"operation's form", with("POST /Patient/$match", "a=b", isForm), fhir.UnsupportedMedia},
		// Bodies where none is.
		{"delete with a body", with("DELETE /Task/1", task, isJSON), fhir.UnexpectedBody},
		{"read with a body", with("GET /Task/1", " "), fhir.UnexpectedBody},
		{"operation by GET with a body", with("GET /Patient/$match", "{}", isJSON), fhir.UnexpectedBody},
		{"capabilities with a body", with("GET /metadata", "{}", isJSON), fhir.UnexpectedBody},
		// Conditions.
		{"If-Match twice", with("PUT /Task/1", `{"resourceType":"Task","id":"1"}`, isJSON, `If-Match: W/"1"`, `If-Match: W/"1"`), fhir.MalformedHeader},
		{"If-Match on a list", with("DELETE /Task/1", "", `If-Match: W/"1", W/"2"`), fhir.MalformedHeader},
		{"If-Match on any", with("DELETE /Task/1", "", `If-Match: *`), fhir.MalformedHeader},
		{"If-Match without quotes", with("DELETE /Task/1", "", `If-Match: 1`), fhir.MalformedHeader},
		{"If-Match without an end", with("DELETE /Task/1", "", `If-Match: W/"1`), fhir.MalformedHeader},
		{"If-Match, weak in small", with("DELETE /Task/1", "", `If-Match: w/"1"`), fhir.MalformedHeader},
		{"If-Match on no version", with("DELETE /Task/1", "", `If-Match: W/"a b"`), fhir.MalformedHeader},
		{"If-Match, empty tag", with("DELETE /Task/1", "", `If-Match: ""`), fhir.MalformedHeader},
		{"If-Match, empty", with("DELETE /Task/1", "", `If-Match: `), fhir.MalformedHeader},
		{"If-Match on a create", with("POST /Task", task, isJSON, `If-Match: W/"1"`), fhir.UnsupportedHeader},
		{"If-Match on a batch", with("POST /", `{"resourceType":"Bundle","type":"batch"}`, isJSON, `If-Match: W/"1"`), fhir.UnsupportedHeader},
		{"If-None-Match on an update", with("PUT /Task/1", `{"resourceType":"Task","id":"1"}`, isJSON, `If-None-Match: *`), fhir.UnsupportedHeader},
		{"If-None-Exist on an update", with("PUT /Task/1", `{"resourceType":"Task","id":"1"}`, isJSON, `If-None-Exist: _id=1`), fhir.UnsupportedHeader},
		{"If-Unmodified-Since", with("DELETE /Task/1", "", "If-Unmodified-Since: Sat, 29 Oct 1994 19:43:31 GMT"), fhir.UnsupportedHeader},
		{"Content-Range", with("PUT /Task/1", `{"resourceType":"Task","id":"1"}`, isJSON, "content-range: bytes 0-9/100"), fhir.UnsupportedHeader},
		{"If-None-Exist twice", with("POST /Task", task, isJSON, "If-None-Exist: _id=1", "If-None-Exist: _id=2"), fhir.MalformedHeader},
		{"If-None-Exist, empty", with("POST /Task", task, isJSON, "If-None-Exist: "), fhir.MalformedHeader},
		{"If-None-Exist of nothing", with("POST /Task", task, isJSON, "If-None-Exist: &"), fhir.MissingParameter},
		{"If-None-Exist with its type", with("POST /Task", task, isJSON, "If-None-Exist: Task?identifier=1"), fhir.MalformedHeader},
		{"If-None-Exist with a question mark", with("POST /Task", task, isJSON, "If-None-Exist: ?identifier=1"), fhir.MalformedHeader},
		{"If-None-Exist, unknown", with("POST /Task", task, isJSON, "If-None-Exist: nope=1", "Prefer: handling=lenient"), fhir.UnknownParameter},
		{"If-None-Exist, of another type", with("POST /Task", task, isJSON, "If-None-Exist: birthdate=1970"), fhir.UnknownParameter},
		{"If-None-Exist, filtered", with("POST /Task", task, isJSON, "If-None-Exist: _filter=x"), fhir.NotSupported},
		{"If-None-Exist, included", with("POST /Task", task, isJSON, "If-None-Exist: _include=Task:subject"), fhir.NotSupported},
		{"If-None-Exist, counted", with("POST /Task", task, isJSON, "If-None-Exist: status=ready&_count=1"), fhir.UnknownParameter},
		{"If-None-Exist, bad value", with("POST /Task", task, isJSON, "If-None-Exist: _id=../Patient"), fhir.BadParameter},
		{"If-None-Exist, long", with("POST /Task", task, isJSON, "If-None-Exist: identifier="+strings.Repeat("a", 2048)), fhir.TooLong},
		{"If-None-Exist, many", with("POST /Task", task, isJSON, "If-None-Exist: "+strings.Repeat("_id=1&", 65)), fhir.TooLong},
		{"create with a query", with("POST /Task?status=ready", task, isJSON), fhir.UnknownParameter},
		{"update everything", with("PUT /Task", task, isJSON), fhir.MissingParameter},
		{"patch everything", with("PATCH /Task?_format=json", patch, isPatch), fhir.MissingParameter},
		{"delete everything", with("DELETE /Task", ""), fhir.MissingParameter},
		{"delete, unknown criterion", with("DELETE /Task?nope=x&status=ready", "", "Prefer: handling=lenient"), fhir.UnknownParameter},
		{"delete, counted", with("DELETE /Task?status=ready&_count=1", ""), fhir.UnknownParameter},
		{"delete, included", with("DELETE /Task?status=ready&_include=*", ""), fhir.NotSupported},
		{"delete, by page", with("DELETE /Task?_page=abc", ""), fhir.UnknownParameter},
		{"delete with a query", with("DELETE /Task/1?status=ready", ""), fhir.UnknownParameter},
		{"update with a query", with("PUT /Task/1?status=ready", `{"resourceType":"Task","id":"1"}`, isJSON), fhir.UnknownParameter},
		{"operation by POST with a query", with("POST /Patient/$match?count=3", `{"resourceType":"Parameters"}`, isJSON), fhir.UnknownParameter},
		// Keys.
		{"key twice", with("POST /Task", task, isJSON, "Idempotency-Key: a", "Idempotency-Key: b"), fhir.MalformedHeader},
		{"keys", with("POST /Task", task, isJSON, "Idempotency-Key: a,b"), fhir.MalformedHeader},
		{"empty key", with("POST /Task", task, isJSON, `Idempotency-Key: ""`), fhir.MalformedHeader},
		{"key with a space", with("POST /Task", task, isJSON, "Idempotency-Key: a b"), fhir.MalformedHeader},
		{"long key", with("POST /Task", task, isJSON, "Idempotency-Key: "+strings.Repeat("a", 129)), fhir.MalformedHeader},
		{"half a quote", with("POST /Task", task, isJSON, `Idempotency-Key: "a`), fhir.MalformedHeader},
		{"override", with("POST /Task", task, isJSON, "X-HTTP-Method-Override: DELETE"), fhir.MethodOverride},
		{"XML wanted", with("POST /Task", task, isJSON, "Accept: application/fhir+xml"), fhir.NotAcceptable},
		{"XML wanted, by _format", with("PUT /Task/1?_format=xml", `{"resourceType":"Task","id":"1"}`, isJSON), fhir.NotAcceptable},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := fhir.Parse(test.in, fhir.Limits{})
			var e *fhir.Error
			if !errors.As(err, &e) || e.Kind != test.kind || r != nil {
				t.Errorf("got %+v, %v; want %s", r, err, test.kind)
			}
		})
	}
}
