package gateway_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/gateway/state"
)

// turn asks the admin listener to switch something off or on.
func (w *world) turn(method, body, query string) (int, gjson.Result) {
	w.t.Helper()
	admin, err := os.ReadFile(w.made.Admin)
	check(w.t, err)
	req, err := http.NewRequest(method, w.admin+"/switches"+query, strings.NewReader(body))
	check(w.t, err)
	req.Header.Set("Authorization", "Bearer "+string(admin))
	resp, err := http.DefaultClient.Do(req)
	check(w.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	check(w.t, err)
	return resp.StatusCode, gjson.ParseBytes(answer)
}

func (w *world) off(kind, name string) {
	w.t.Helper()
	if status, body := w.turn("POST", `{"kind": "`+kind+`", "name": "`+name+`", "reason": "a test"}`, ""); status != 200 {
		w.t.Fatalf("off %s %s: %d %s", kind, name, status, body)
	}
}

func (w *world) on(kind, name string) {
	w.t.Helper()
	if status, body := w.turn("DELETE", "", "?kind="+url.QueryEscape(kind)+"&name="+url.QueryEscape(name)); status != 200 {
		w.t.Fatalf("on %s %s: %d %s", kind, name, status, body)
	}
}

// TestSwitches switches each kind of thing off and on again, under a running gateway: its calls are refused, with a
// record, and the others go on.
func TestSwitches(t *testing.T) {
	w := newWorld(t)
	desk := w.token("demo-scheduling", demo.TokenOptions{})
	other := w.token("demo-access", demo.TokenOptions{})
	ticket := []string{"Ticket-Id", "INC-1", "Ticket-Category", "scheduling"}
	calls := map[string]func() reply{
		"appointments": func() reply { return w.get(desk, "/Appointment?_count=1", ticket...) },
		"practitioner": func() reply { return w.get(desk, "/Practitioner?_count=1", ticket...) },
		"other":        func() reply { return w.get(other, "/Practitioner?_count=1") },
		"history": func() reply {
			return w.get(desk, "/Appointment/"+w.sandbox.IDs("Appointment")[0]+"/_history", ticket...)
		},
	}
	before := map[string]reply{}
	for name, call := range calls {
		before[name] = call()
	}
	for _, name := range []string{"appointments", "practitioner", "other"} {
		if r := before[name]; r.status != 200 {
			t.Fatalf("%s: %d %s", name, r.status, r.body)
		}
	}
	for _, c := range []struct {
		kind, name, text string
		off              []string
	}{
		{"client", "demo-scheduling", "this app", []string{"appointments", "practitioner", "history"}},
		{"category", "scheduling", "tickets of this category", []string{"appointments", "practitioner", "history"}},
		{"ehr", "main", "this records system", []string{"appointments", "practitioner", "other", "history"}},
		{"type", "Appointment", "records of this type", []string{"appointments", "history"}},
		{"interaction", "search-type", "calls of this kind", []string{"appointments", "practitioner", "other"}},
		{"interaction", "history-instance", "calls of this kind", []string{"history"}},
		{"workflow", "scheduling", "this kind of support", []string{"appointments", "practitioner", "history"}},
	} {
		w.off(c.kind, c.name)
		off := map[string]bool{}
		for _, name := range c.off {
			off[name] = true
			r := calls[name]()
			if r.status != 503 || r.code() != "switched-off" || !strings.Contains(string(r.body), c.text) {
				t.Errorf("%s %s: %s: %d %s", c.kind, c.name, name, r.status, r.body)
				continue
			}
			if rec := w.record(r); rec.Status != 503 || rec.Code != "switched-off" || rec.Detail != "switched off: "+c.kind {
				t.Errorf("%s %s: %s: record %+v", c.kind, c.name, name, rec)
			}
		}
		if _, body := w.ask("GET", "/metrics", ""); !strings.Contains(body, "halfdoor_switched_off 1\n") {
			t.Errorf("%s: the metric does not tell", c.kind)
		}
		if one := w.status().Get("switched_off.0"); one.Get("kind").String() != c.kind || one.Get("name").String() != c.name || one.Get("by").String() != "administrator" || one.Get("reason").String() != "a test" {
			t.Errorf("%s: status %s", c.kind, one)
		}
		for name, call := range calls {
			if r := call(); !off[name] && (r.status != before[name].status || r.code() != before[name].code()) {
				t.Errorf("%s %s: %s: %d %s", c.kind, c.name, name, r.status, r.body)
			}
		}
		w.on(c.kind, c.name)
		for name, call := range calls {
			if r := call(); r.status != before[name].status {
				t.Errorf("%s %s, on again: %s: %d %s", c.kind, c.name, name, r.status, r.body)
			}
		}
	}
	acts := map[string]int{}
	for _, r := range w.records("") {
		if r.Kind == accesslog.KindAdmin && strings.HasPrefix(r.Code, "switch-o") {
			acts[r.Code+" "+r.Detail]++
		}
	}
	for _, want := range []string{"switch-off type Appointment: a test", "switch-on type Appointment", "switch-off client demo-scheduling: a test"} {
		if acts[want] != 1 {
			t.Errorf("no record %q: %v", want, acts)
		}
	}
}

// TestSwitchedOffWithin holds what is within a call to the switches: entries of a batch, and what an include brings.
func TestSwitchedOffWithin(t *testing.T) {
	w := newWorld(t)
	desk := w.token("demo-scheduling", demo.TokenOptions{})
	include := "/Appointment?_count=3&_include=Appointment:actor"
	brings := func(r reply) (n int) {
		for _, e := range r.json().Get("entry.#.resource.resourceType").Array() {
			if e.String() == "Practitioner" {
				n++
			}
		}
		return n
	}
	if r := w.get(desk, include); r.status != 200 || brings(r) == 0 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	w.off("type", "Practitioner")
	if r := w.get(desk, include); r.status != 200 || brings(r) != 0 {
		t.Errorf("an include brings what is off: %d %s", r.status, r.body)
	}
	batch := `{"resourceType": "Bundle", "type": "batch", "entry": [
		{"request": {"method": "GET", "url": "Practitioner?_count=1"}}, {"request": {"method": "GET", "url": "Organization?_count=1"}}]}`
	r := w.send("POST", desk, "", strings.NewReader(batch), "Content-Type", "application/fhir+json")
	if a, b := r.json().Get("entry.0.response.status").String(), r.json().Get("entry.1.response.status").String(); !strings.HasPrefix(a, "503") || !strings.HasPrefix(b, "200") {
		t.Errorf("a batch: %d %s", r.status, r.body)
	}
	for _, rec := range w.records(r.header.Get("X-Request-Id") + "#1") {
		if rec.Code != "switched-off" {
			t.Errorf("record %+v", rec)
		}
	}
	w.off("interaction", "batch")
	if r := w.send("POST", desk, "", strings.NewReader(batch), "Content-Type", "application/fhir+json"); r.status != 503 || r.code() != "switched-off" {
		t.Errorf("a batch: %d %s", r.status, r.body)
	}
}

// TestSwitchedOffOnTheWay holds a link to another page, which was given out before, and a $match to the switches of what they
// stand for.
func TestSwitchedOffOnTheWay(t *testing.T) {
	w := newWorld(t)
	desk := w.token("demo-scheduling", demo.TokenOptions{})
	first := w.get(desk, "/Appointment?_count=1")
	link, err := url.Parse(first.json().Get(`link.#(relation=="next").url`).String())
	check(t, err)
	page := func() reply { return w.get(desk, "/Appointment?"+link.RawQuery) }
	match := func() reply {
		return w.post(desk, "/Patient/$match", matching(`"name":[{"family":"Nobody"}],"birthDate":"1900-01-01"`))
	}
	if a, b := page(), match(); a.status != 200 || b.status != 200 {
		t.Fatalf("%d %s; %d %s", a.status, a.body, b.status, b.body)
	}
	for _, c := range []struct {
		kind, name string
		ask        func() reply
	}{
		{"type", "Appointment", page},
		{"workflow", "scheduling", page},
		{"interaction", "search-type", page},
		{"type", "Patient", match},
		{"workflow", "scheduling", match},
		{"interaction", "operation", match},
	} {
		w.off(c.kind, c.name)
		r := c.ask()
		if rec := w.record(r); r.status != 503 || r.code() != "switched-off" || rec.Code != "switched-off" || rec.Detail != "switched off: "+c.kind {
			t.Errorf("%s %s: %d %s %+v", c.kind, c.name, r.status, r.body, rec)
		}
		w.on(c.kind, c.name)
		if r := c.ask(); r.status != 200 {
			t.Errorf("%s %s, on again: %d %s", c.kind, c.name, r.status, r.body)
		}
	}
}

// TestSwitchesByPolicy has the bundle switch something off; an administrator cannot switch that on.
func TestSwitchesByPolicy(t *testing.T) {
	off := "clients:\n  demo-access: Its key is lost.\n"
	w := newWorld(t, withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }),
		withBundle(map[string]string{"halfdoor/decision.rego": allowAll, "halfdoor/switched_off/data.yaml": off}))
	token := w.token("demo-access", demo.TokenOptions{})
	r := w.get(token, "/Practitioner")
	if rec := w.record(r); r.status != 503 || r.code() != "switched-off" || rec.Code != "switched-off" {
		t.Errorf("%d %s %+v", r.status, r.body, rec)
	}
	if status, body := w.turn("DELETE", "", "?kind=client&name=demo-access"); status != 422 || !strings.Contains(body.Get("problem").String(), "the policy has switched it off") {
		t.Errorf("%d %s", status, body)
	}
	if one := w.status().Get("switched_off.0"); one.Get("by").String() != "policy" || one.Get("reason").String() != "Its key is lost." {
		t.Errorf("%s", one)
	}
	w.edit("bundle/halfdoor/switched_off/data.yaml", func(string) string { return "types: {}\n" })
	w.until("back", func() bool { return w.get(token, "/Practitioner").status == 200 })
}

// TestSwitchesStay survives a reload and a restart; what cannot be read keeps the gateway from starting.
func TestSwitchesStay(t *testing.T) {
	w := newWorld(t)
	token := w.token("demo-access", demo.TokenOptions{})
	w.off("client", "demo-access")
	admin, err := os.ReadFile(w.made.Admin)
	check(t, err)
	if status, body := w.ask("POST", "/reload", string(admin)); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if r := w.get(token, "/Practitioner"); r.code() != "switched-off" {
		t.Errorf("after a reload: %d %s", r.status, r.body)
	}
	check(t, w.close())
	cfg, err := configs.Load(w.made.Config)
	check(t, err)
	file := filepath.Join(cfg.Vault.Dir, "switches.json")
	kept, err := state.OpenSwitches(state.SwitchesOptions{File: file})
	check(t, err)
	if !kept.IsOff("client", "demo-access") {
		t.Errorf("%v", kept.List())
	}
	check(t, os.WriteFile(file, []byte("[{"), 0o600))
	if g, err := gateway.New(gateway.Options{Config: cfg}); err == nil || !strings.Contains(err.Error(), "switches") {
		t.Errorf("with a broken file: %v", err)
		if err == nil {
			check(t, g.Close())
		}
	}
}

// broken is a store of switches whose disk fails.
type broken struct{ *state.Switches }

func (broken) Off(string, string, string) error { return errors.New("the disk is full") }

func TestSwitchesRefused(t *testing.T) {
	stored, err := state.OpenSwitches(state.SwitchesOptions{File: filepath.Join(t.TempDir(), "switches.json")})
	check(t, err)
	w := newWorld(t, func(o *worldOptions) { o.run = func(r *gateway.RunOptions) { r.Switches = broken{stored} } })
	for body, want := range map[string]string{
		`{"kind": "client"}`:                                     "name: want",
		`{"kind": "client", "name": "a"}`:                        "reason: want",
		`{"kind": "clients", "name": "a", "reason": "x"}`:        "kind: want one of",
		`{"kind": "type", "name": "Pateint", "reason": "x"}`:     "no such resource type",
		`{"kind": "ehr", "name": "east", "reason": "x"}`:         "no such EHR",
		`{"kind": "workflow", "name": "east", "reason": "x"}`:    "no such dataset",
		`{"kind": "interaction", "name": "look", "reason": "x"}`: "no such interaction",
		`{"kind": "client", "name": "a\u0000b", "reason": "x"}`:  "name: want",
	} {
		if status, answer := w.turn("POST", body, ""); status != 422 || !strings.Contains(answer.Get("problem").String(), want) {
			t.Errorf("%s: %d %s", body, status, answer)
		}
	}
	for _, body := range []string{"", "[]", `{"kind": "client", "nam": "a"}`, `{"kind": "client", "name": "` + strings.Repeat("a", 8<<10) + `"}`} {
		if status, _ := w.turn("POST", body, ""); status != 400 {
			t.Errorf("%.40s: %d", body, status)
		}
	}
	if status, answer := w.turn("POST", `{"kind": "client", "name": "a", "reason": "x"}`, ""); status != 500 || !strings.Contains(answer.Get("problem").String(), "disk is full") {
		t.Errorf("%d %s", status, answer)
	}
	if status, answer := w.turn("DELETE", "", "?kind=client&name=a"); status != 422 || !strings.Contains(answer.Get("problem").String(), "not switched off") {
		t.Errorf("%d %s", status, answer)
	}
	for _, method := range []string{"GET", "POST", "DELETE"} {
		if status, _ := w.ask(method, "/switches", "wrong"); status != 401 {
			t.Errorf("%s without the token: %d", method, status)
		}
	}
}
