package balp_test

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/accesslog/balp"
)

var actor = accesslog.Actor{Subject: "agent-7", Issuer: "https://login.example", Client: "helpdesk", Roles: []string{"desk"}, FHIRUser: "Practitioner/p7"}

func call(kind accesslog.Kind, interaction string, change func(*accesslog.Record)) *accesslog.Record {
	r := &accesslog.Record{Version: accesslog.Version, Time: time.Date(2026, 3, 4, 10, 0, 0, 123456789, time.UTC), Kind: kind, Sequence: 41,
		Correlation: "task-1", RequestID: "r-1#2", Trace: "0af7651916cd43dd8448eb211c80319c", Actor: actor, Source: "192.0.2.7",
		Request: accesslog.Request{Method: "GET", Interaction: interaction, Type: "Appointment"}, EHR: "main", Tenant: "north",
		Ticket: accesslog.Ticket{ID: "INC-1", Category: "scheduling"}, Purpose: "HOPERAT",
		Policy: accesslog.Policy{Revision: "rev 1", Dataset: "scheduling", Version: 3, Code: "desk"}, Status: 200, Reason: "The desk may."}
	if change != nil {
		change(r)
	}
	return r
}

func one(r *accesslog.Record) {
	r.Subjects, r.Patients = []string{"Appointment/tA1", "Patient/tA2"}, []string{"hash-of-the-patient-22"}
}

func events(t *testing.T, r *accesslog.Record, patients ...string) (all []string, kinds []balp.Kind) {
	t.Helper()
	m, err := balp.New(balp.Options{Origin: "gateway-1.example/audit", Sentence: func(code string) string { return "Sentence of " + code + "." }})
	if err != nil {
		t.Fatal(err)
	}
	err = m.Each(r, patients, func(e *balp.Event) error {
		b, err := json.Marshal(e)
		all, kinds = append(all, string(b)), append(kinds, e.Kind)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, kinds
}

// A telling is a record, and what it is told as.
type telling struct {
	name    string
	record  *accesslog.Record
	kind    balp.Kind
	profile string // empty: none is claimed, and the event is a valid AuditEvent
}

// told is the event of the telling with this name.
func told(t *testing.T, name string) string {
	t.Helper()
	i := slices.IndexFunc(exported, func(e telling) bool { return e.name == name })
	all, _ := events(t, exported[i].record)
	return all[0]
}

// exported has a record of every kind.
var exported = []telling{
	{"read", call(accesslog.KindAccess, "read", func(r *accesslog.Record) { r.Request.ID = "tA1"; one(r) }), balp.Read, "PatientRead"},
	{"vread of no patient", call(accesslog.KindAccess, "vread", func(r *accesslog.Record) { r.Request.ID = "tA1" }), balp.Read, "Read"},
	{"search", call(accesslog.KindAccess, "search-type", one), balp.Query, "PatientQuery"},
	{"search with nothing found", call(accesslog.KindAccess, "search-type", nil), balp.Query, "Query"},
	{"search of all types", call(accesslog.KindAccess, "search-system", nil), balp.Query, "Query"},
	{"search of a compartment", call(accesslog.KindAccess, "search-compartment", one), balp.Query, "PatientQuery"},
	{"a later window", call(accesslog.KindRelease, "search-type", func(r *accesslog.Record) { one(r); r.More = true }), balp.Query, "PatientQuery"},
	{"the last window", call(accesslog.KindClose, "search-type", one), balp.Query, "PatientQuery"},
	{"create", call(accesslog.KindAccess, "create", one), balp.Create, "PatientCreate"},
	{"create of no patient", call(accesslog.KindAccess, "create", nil), balp.Create, "Create"},
	{"update", call(accesslog.KindAccess, "update", one), balp.Update, "PatientUpdate"},
	{"update of no patient", call(accesslog.KindAccess, "update", nil), balp.Update, "Update"},
	{"patch", call(accesslog.KindAccess, "patch", one), balp.Update, "PatientUpdate"},
	{"delete", call(accesslog.KindAccess, "delete", one), balp.Delete, "PatientDelete"},
	{"delete of no patient", call(accesslog.KindAccess, "delete", nil), balp.Delete, "Delete"},
	{"in an emergency", call(accesslog.KindAccess, "read", func(r *accesslog.Record) { one(r); r.BreakGlass = &accesslog.BreakGlass{Reason: "records-down"} }), balp.Read, "PatientRead"},
	{"by an app alone", call(accesslog.KindAccess, "read", func(r *accesslog.Record) { one(r); r.Actor = accesslog.Actor{Client: "nightly", Subject: "nightly"} }), balp.Read, "PatientRead"},
	{"with nothing that could be left out", call(accesslog.KindAccess, "read", func(r *accesslog.Record) {
		*r = accesslog.Record{Kind: r.Kind, Time: r.Time, Request: accesslog.Request{Interaction: "read", Type: "Slot"}}
	}), balp.Read, "Read"},
	{"history", call(accesslog.KindAccess, "history-instance", one), balp.Other, ""},
	{"operation", call(accesslog.KindAccess, "operation", func(r *accesslog.Record) { one(r); r.Request.Operation = "match" }), balp.Other, ""},
	{"batch", call(accesslog.KindAccess, "batch", nil), balp.Other, ""},
	{"a write told again", call(accesslog.KindAccess, "create", func(r *accesslog.Record) { one(r); r.Detail = "repeated" }), balp.Other, ""},
	{"intent", call(accesslog.KindIntent, "update", one), balp.Intent, ""},
	{"refusal", call(accesslog.KindRefusal, "read", func(r *accesslog.Record) { r.Status, r.Code, r.Reason = 403, "scope", "" }), balp.Refusal, ""},
	{"refusal before authentication", call(accesslog.KindRefusal, "", func(r *accesslog.Record) {
		*r = accesslog.Record{Kind: r.Kind, Time: r.Time, Status: 401, Code: "token-missing", Request: accesslog.Request{Method: "GET"}}
	}), balp.Refusal, ""},
	{"refusal of a write that was looked at", call(accesslog.KindRefusal, "patch", func(r *accesslog.Record) { one(r); r.Status, r.Code = 502, "write-unknown" }), balp.Refusal, ""},
	{"cut", call(accesslog.KindClose, "search-type", func(r *accesslog.Record) { r.Code, r.Detail = "ehr-cut", "aborted" }), balp.Cut, ""},
	{"start", &accesslog.Record{Kind: accesslog.KindAdmin, Code: "start", Detail: "v1, policy rev 1"}, balp.Admin, ""},
	{"reload", &accesslog.Record{Kind: accesslog.KindAdmin, Code: "reload-refused", Detail: "the old configuration goes on"}, balp.Admin, ""},
	{"a reviewer's query", &accesslog.Record{Kind: accesslog.KindAdmin, Code: "audit-query", Actor: accesslog.Actor{Subject: "uid 1000"}, Ticket: accesslog.Ticket{ID: "REV-1"}}, balp.Admin, ""},
	{"recovery", &accesslog.Record{Kind: accesslog.KindRecovery, Detail: "2 records adopted"}, balp.Admin, ""},
}

func TestEventsMeetTheirProfiles(t *testing.T) {
	seen := map[balp.Kind]bool{}
	for _, tt := range exported {
		t.Run(tt.name, func(t *testing.T) {
			all, kinds := events(t, tt.record)
			if len(all) != 1 || kinds[0] != tt.kind {
				t.Fatalf("told as %v: %s", kinds, all)
			}
			seen[tt.kind] = true
			want := ""
			if tt.profile != "" {
				want = `["https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.` + tt.profile + `"]`
			}
			if got := gjson.Get(all[0], "meta.profile").Raw; got != want {
				t.Errorf("claims %s, want %s", got, want)
			}
			profile := tt.profile
			if profile == "" {
				profile = "AuditEvent"
			}
			for _, v := range violations(t, profile, all[0]) {
				t.Errorf("%s\n%s", v, all[0])
			}
			if !regexp.MustCompile(`^[0-9a-f-]{36}$`).MatchString(gjson.Get(all[0], "id").String()) {
				t.Errorf("id %s", gjson.Get(all[0], "id"))
			}
			empty(t, "", gjson.Parse(all[0]))
		})
	}
	for _, k := range balp.Kinds() {
		if !seen[k] {
			t.Errorf("no record is told as %s", k)
		}
	}
}

// empty finds what FHIR's JSON does not allow: empty strings, objects and lists, and strings with white space at an end.
func empty(t *testing.T, path string, v gjson.Result) {
	t.Helper()
	if v.Raw == `""` || v.Raw == "{}" || v.Raw == "[]" || v.Raw == "null" || v.Type == gjson.String && strings.TrimSpace(v.Str) != v.Str {
		t.Errorf("%s is %s", path, v.Raw)
	}
	if !v.IsObject() && !v.IsArray() {
		return
	}
	v.ForEach(func(k, v gjson.Result) bool {
		empty(t, path+"."+k.String(), v)
		return true
	})
}

// TestTheTableIsHeld breaks an event in every way that the table forbids.
func TestTheTableIsHeld(t *testing.T) {
	rows, _ := requirements(t)
	broken := map[string]int{}
	for _, tt := range exported {
		if tt.profile == "" || tt.record.RequestID == "" {
			continue
		}
		all, _ := events(t, tt.record)
		event := all[0]
		for _, element := range []string{"type", "type.code", "subtype", "subtype.0", "action", "recorded", "outcome", "agent", "agent.0", "agent.1", "agent.0.who", "agent.1.who", "agent.0.network",
			"agent.1.network", "agent.0.requestor", "source", "source.observer", "entity", "entity.0.what.identifier.value", "entity.1", "entity.1.role", "entity.2", "entity.2.what", "entity.2.role"} {
			if !gjson.Get(event, element).Exists() {
				continue
			}
			less, err := sjson.Delete(event, element)
			if err != nil {
				t.Fatal(err)
			}
			if len(violations(t, tt.profile, less)) > 0 {
				broken[element]++
			} else if element != "entity.2.what" && element != "entity.2.role" && element != "entity.2" && element != "entity.0.what.identifier.value" {
				t.Errorf("%s: the table does not miss %s", tt.name, element)
			}
		}
		for element, value := range map[string]any{"outcome": "4", "action": "X", "subtype.0.code": "other", "type.code": "login", "agent.0.media": map[string]string{"code": "x"},
			"agent.0.type.coding.0.code": "1", "agent.1.type.coding.0.code": "1", "entity.1.role.code": "2", "entity.1.type.code": "4", "resourceType": "Basic", "agent.0.network.type": "9"} {
			other, err := sjson.Set(event, element, value)
			if err != nil {
				t.Fatal(err)
			}
			if len(violations(t, tt.profile, other)) == 0 {
				t.Errorf("%s: the table takes %v for %s", tt.name, value, element)
			}
		}
	}
	if broken["entity.2.role"] == 0 || broken["entity.2.what"] == 0 || broken["entity.0.what.identifier.value"] == 0 || len(rows["PatientDelete"]) == 0 {
		t.Errorf("what of the patient and the request was missed: %v", broken)
	}
}

func TestOneEventForEachPatient(t *testing.T) {
	r := call(accesslog.KindAccess, "search-type", func(r *accesslog.Record) {
		r.Subjects = []string{"Appointment/tA1", "Patient/tA2", "Patient/tA3"}
		r.Patients = []string{"first-hash", "second-hash"}
		r.Request.Parameters = []accesslog.Parameter{{Name: "identifier", Values: []string{"v1", "v2"}}, {Name: "name", Modifier: "exact", Values: []string{"v3"}}, {Name: "_include=Appointment:patient"}}
	})
	all, _ := events(t, r)
	again, _ := events(t, r)
	if len(all) != 2 || !slices.Equal(all, again) {
		t.Fatalf("%d events, or not the same ones again", len(all))
	}
	if gjson.Get(all[0], "id").String() == gjson.Get(all[1], "id").String() {
		t.Error("two events have one id")
	}
	for i, want := range []string{"first-hash tA2", "second-hash tA3"} {
		p := gjson.Get(all[i], `entity.#(type.code=="1")`)
		if got := p.Get("what.identifier.value").String() + " " + p.Get("detail.0.valueString").String(); got != want {
			t.Errorf("patient %d is %s", i, got)
		}
	}
	if strings.Contains(all[0], "second-hash") || strings.Contains(all[1], "first-hash") {
		t.Error("an event names another patient")
	}
	if only, _ := events(t, r, "second-hash"); len(only) != 1 || only[0] != all[1] {
		t.Errorf("asked for one patient, got %s", only)
	}
	if none, _ := events(t, call(accesslog.KindAccess, "read", nil), "first-hash"); len(none) != 0 {
		t.Errorf("an event of nobody for a patient: %s", none)
	}
	query, err := base64.StdEncoding.DecodeString(gjson.Get(all[0], "entity.1.query").String())
	if want := "Appointment?identifier=hmac:v1,hmac:v2&name:exact=hmac:v3&_include=Appointment:patient"; err != nil || string(query) != want {
		t.Errorf("the query is %s, %v", query, err)
	}
}

func TestWhatAnEventSays(t *testing.T) {
	read := told(t, "read")
	for path, want := range map[string]string{
		"recorded": "2026-03-04T10:00:00.123456Z", "subtype.0.code": "read", "purposeOfEvent.0.coding.0.code": "HOPERAT",
		`agent.#(type.coding.0.code=="110152").who.identifier.value`: "helpdesk", `agent.#(type.coding.0.code=="110152").network.address`: "192.0.2.7",
		`agent.#(type.coding.0.code=="IRCP").who.identifier`: `{"system":"https://login.example","value":"agent-7"}`,
		`agent.#(type.coding.0.code=="IRCP").altId`:          "Practitioner/p7", `agent.#(type.coding.0.code=="IRCP").role.0.text`: "desk",
		`agent.#(type.coding.0.code=="110153").policy.0`:                                "urn:halfdoor:policy:rev_1:scheduling:3",
		`entity.#(type.code=="XrequestId").what.identifier.value`:                       "r-1#2",
		`entity.#(type.code=="2").what`:                                                 `{"type":"Appointment","identifier":{"system":"urn:halfdoor:token","value":"tA1"}}`,
		`entity.#(what.identifier.system=="urn:halfdoor:ticket").what.identifier.value`: "INC-1",
		`entity.#(what.identifier.system=="urn:halfdoor:record").what.identifier.value`: "gateway-1.example/audit#41",
	} {
		if got := gjson.Get(read, path); got.String() != want {
			t.Errorf("%s is %q, want %q\n%s", path, got, want, read)
		}
	}
	emergency := told(t, "in an emergency")
	if !gjson.Get(emergency, `subtype.#(code=="110127")`).Exists() {
		t.Errorf("nothing tells of the emergency: %s", emergency)
	}
	for kind, want := range map[string]string{
		"Patient":      `{"type":"Patient","identifier":{"system":"urn:halfdoor:audit-patient","value":"hash-of-the-patient-22"}}`,
		"Practitioner": `{"type":"Practitioner","identifier":{"value":"hash-of-the-patient-22"},"display":"keyed hash of an id that is no token"}`,
	} {
		all, _ := events(t, call(accesslog.KindRefusal, "read", func(r *accesslog.Record) { r.Request.Type, r.Request.ID = kind, "hash-of-the-patient-22" }))
		if got := gjson.Get(all[0], `entity.#(type.code=="2").what`).Raw; got != want {
			t.Errorf("what was asked for by no token is %s, want %s", got, want)
		}
	}
	for name, want := range map[string]string{"refusal": "4 scope forbidden", "refusal before authentication": "4 token-missing login", "refusal of a write that was looked at": "8 write-unknown exception"} {
		e := told(t, name)
		issue := gjson.Get(e, "contained.0.issue.0")
		if got := gjson.Get(e, "outcome").String() + " " + issue.Get("details.coding.0.code").String() + " " + issue.Get("code").String(); got != want {
			t.Errorf("%s is %s", name, got)
		}
		if !strings.Contains(issue.Get("details.text").String(), "Sentence of ") || gjson.Get(e, `entity.#(what.reference=="#outcome")`).Raw == "" {
			t.Errorf("%s has no words, or nothing refers to its outcome: %s", name, e)
		}
	}
}

func TestTotalsAloneAreNoEvent(t *testing.T) {
	if all, _ := events(t, call(accesslog.KindClose, "search-type", nil)); len(all) != 0 {
		t.Errorf("%s", all)
	}
}

func TestTextOfClientsIsFHIR(t *testing.T) {
	all, _ := events(t, call(accesslog.KindAccess, "read", func(r *accesslog.Record) {
		r.Actor = accesslog.Actor{Subject: " a\x00\n<b> ", Issuer: "https://x example\t", Client: "\u0085", Roles: []string{"\x01"}}
		r.Ticket.ID, r.Purpose = " t\r\n", "a b"
	}))
	empty(t, "", gjson.Parse(all[0]))
	if v := violations(t, "Read", all[0]); len(v) > 0 {
		t.Errorf("%s\n%s", v, all[0])
	}
	if strings.Contains(all[0], `\u00`) && !strings.Contains(all[0], `\u003c`) {
		t.Errorf("a control character is left: %s", all[0])
	}
}

func TestAMapperNeedsAName(t *testing.T) {
	if _, err := balp.New(balp.Options{}); err == nil {
		t.Error("a mapper without the log's name")
	}
}
