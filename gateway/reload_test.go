package gateway_test

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

const allowAll = `package halfdoor

# METADATA
# entrypoint: true
decision := {"allow": true, "dataset": "access", "reason": {"code": "test-allowed", "text": "The test allows it."}}
`

const allowNone = `package halfdoor

# METADATA
# entrypoint: true
decision := {"allow": false, "reason": {"code": "test-refused", "text": "The test refuses it."}}
`

// TestReload changes policy and configuration under a running gateway: a whole new
// generation goes live, or the old one goes on and says why.
func TestReload(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }), withBundle(map[string]string{"halfdoor/decision.rego": allowAll}))
	token := w.token("demo-access", demo.TokenOptions{})
	if r := w.get(token, "/Practitioner"); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	// By file: the watch sees the change.
	w.edit("bundle/halfdoor/decision.rego", func(string) string { return allowNone })
	w.until("the new policy", func() bool { return w.get(token, "/Practitioner").code() == "test-refused" })

	// A bad policy: the old one goes on.
	w.edit("bundle/halfdoor/decision.rego", func(string) string { return "package halfdoor\n\ndecision := {" })
	w.until("the refusal of a bad policy", func() bool {
		_, body := w.ask("GET", "/metrics", "")
		return strings.Contains(body, "halfdoor_configuration_current 0")
	})
	if r := w.get(token, "/Practitioner"); r.code() != "test-refused" {
		t.Errorf("under a bad policy: %d %s", r.status, r.body)
	}
	admin, err := os.ReadFile(w.made.Admin)
	check(t, err)
	if _, body := w.ask("GET", "/status", string(admin)); !strings.Contains(gjson.Get(body, "reload_refused.problem").String(), "decision.rego") {
		t.Errorf("status: %s", body)
	}
	// Back, by an administrator.
	w.edit("bundle/halfdoor/decision.rego", func(string) string { return allowAll })
	if status, body := w.ask("POST", "/reload", string(admin)); status != 200 {
		t.Errorf("reload: %d %s", status, body)
	}
	if r := w.get(token, "/Practitioner"); r.status != 200 {
		t.Errorf("after the reload: %d %s", r.status, r.body)
	}
	// By signal; what lives as long as the process is refused by name.
	w.edit("halfdoor.yaml", func(y string) string { return strings.Replace(y, "dir: log", "dir: other-log", 1) })
	w.reload <- syscall.SIGHUP
	w.until("the refusal of another log", func() bool { return strings.Contains(w.operator.String(), "access_log.dir cannot change") })
	if r := w.get(token, "/Practitioner"); r.status != 200 {
		t.Errorf("after a refused reload: %d %s", r.status, r.body)
	}
	codes := map[string]bool{}
	for _, r := range w.records("") {
		if r.Kind == accesslog.KindAdmin {
			codes[r.Code] = true
		}
	}
	for _, want := range []string{"start", "reload", "reload-refused", "reload-asked", "status"} {
		if !codes[want] {
			t.Errorf("no record of %q: %v", want, codes)
		}
	}
}

func TestAdminNeedsItsToken(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/status", "/debug/pprof/"} {
		for _, token := range []string{"", "wrong"} {
			if status, _ := w.ask("GET", path, token); status != http.StatusUnauthorized {
				t.Errorf("GET %s with %q: %d", path, token, status)
			}
		}
	}
	if status, _ := w.ask("POST", "/reload", "wrong"); status != http.StatusUnauthorized {
		t.Errorf("reload: %d", status)
	}
	refused := 0
	for _, r := range w.records("") {
		if strings.HasSuffix(r.Code, "-refused") && r.Kind == accesslog.KindAdmin {
			refused++
		}
	}
	if refused != 5 {
		t.Errorf("%d records of refused acts, want 5", refused)
	}
	for path, want := range map[string]string{"/healthz": "alive", "/readyz": "ready", "/metrics": "halfdoor_calls_in_flight"} {
		if status, body := w.ask("GET", path, ""); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// TestDrain ends the gateway while a call is under way: the call is served to its end.
func TestDrain(t *testing.T) {
	w := newWorld(t)
	token := w.token("demo-access", demo.TokenOptions{})
	w.get(token, "/Practitioner") // keys and connections are there
	asked := make(chan struct{})
	proceed := make(chan struct{})
	slow := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		close(asked)
		<-proceed
		w.sandbox.ServeHTTP(rw, r)
	})
	w2 := newWorld(t, withEHR(slow))
	got := make(chan reply, 1)
	token = w2.token("demo-access", demo.TokenOptions{})
	go func() { got <- w2.get(token, "/Organization") }()
	<-asked
	closed := make(chan error, 1)
	go func() { closed <- w2.close() }()
	w2.until("new calls refused", func() bool {
		resp, err := http.Get(w2.admin + "/readyz")
		if err != nil {
			return true
		}
		resp.Body.Close()
		return resp.StatusCode == 503
	})
	close(proceed)
	if r := <-got; r.status != 200 || r.err != nil {
		t.Errorf("the call under way: %d %v %s", r.status, r.err, r.body)
	}
	check(t, <-closed)
	w2.verify()
}

// TestPageAfterReload follows a link under another policy than the one that gave it out: the
// search is decided and admitted anew.
func TestPageAfterReload(t *testing.T) {
	decide := func(dataset, patient string) string {
		return strings.Replace(allowAll, `"dataset": "access"`, `"dataset": "`+dataset+`"`+patient, 1)
	}
	w := newWorld(t, withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }), withBundle(map[string]string{"halfdoor/decision.rego": decide("scheduling", "")}))
	token := w.token("demo-scheduling", demo.TokenOptions{})
	admin, err := os.ReadFile(w.made.Admin)
	check(t, err)
	next := w.get(token, "/Encounter?_count=2&status=finished").json().Get(`link.#(relation=="next").url`).String()
	for _, c := range []struct {
		name, policy string
		status       int
		code         string
	}{
		{"another dataset", decide("billing", ""), 400, "page-invalid"},
		{"without the type", decide("access", ""), 403, "dataset-type"},
		{"one patient", decide("scheduling", `, "patient": "`+w.sandbox.IDs("Patient")[1]+`"`), 400, "page-invalid"},
		{"refused", allowNone, 403, "test-refused"},
		{"as before", decide("scheduling", ""), 200, ""},
	} {
		w.edit("bundle/halfdoor/decision.rego", func(string) string { return c.policy })
		if status, body := w.ask("POST", "/reload", string(admin)); status != 200 {
			t.Fatalf("%s: reload: %d %s", c.name, status, body)
		}
		r := w.get(token, next)
		if r.status != c.status || r.code() != c.code {
			t.Errorf("%s: %d %s", c.name, r.status, r.body)
		}
		if rec := w.record(r); rec.Status != c.status || rec.Code != c.code {
			t.Errorf("%s: record %+v", c.name, rec)
		}
	}
	w.edit("bundle/halfdoor/datasets/scheduling/data.yaml", func(y string) string {
		y = strings.Replace(y, "    # Whether the visit took place: an appointment that became one is not moved.\n    status: keep\n", "", 1)
		return strings.Replace(y, "    status: An appointment that became a visit is not moved.\n", "", 1)
	})
	if status, body := w.ask("POST", "/reload", string(admin)); status != 200 {
		t.Fatalf("reload: %d %s", status, body)
	}
	if r := w.get(token, next); r.status != 403 || r.code() != "search-hidden" {
		t.Errorf("a search on what is hidden by now: %d %s", r.status, r.body)
	}
}

// TestPolicyOnlyNarrows has a policy that names another patient than the token's launch.
func TestPolicyOnlyNarrows(t *testing.T) {
	patients := demo.NewEHR(demo.EHROptions{Seed: 7, Patients: 40}).IDs("Patient")
	policy := strings.Replace(allowAll, `"dataset": "access"`, `"dataset": "scheduling", "patient": "`+patients[1]+`"`, 1)
	w := newWorld(t, withConfig(func(y string) string { return y + "policy:\n  bundle: bundle\n" }), withBundle(map[string]string{"halfdoor/decision.rego": policy}))
	app := w.token("demo-app", demo.TokenOptions{Claims: map[string]any{"patient": patients[0]}})
	for _, path := range []string{"/Patient", "/Patient/" + patients[0], "/Patient/" + patients[1], "/Appointment"} {
		if r := w.get(app, path); r.status != 404 || r.code() != "not-found" || w.record(r).Code != "not-found" {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	// Without a launch, it holds the call to its patient.
	desk := w.token("demo-scheduling", demo.TokenOptions{})
	r := w.get(desk, "/Patient")
	if entries := r.json().Get("entry").Array(); r.status != 200 || len(entries) != 1 || len(w.record(r).Subjects) != 1 {
		t.Errorf("%d, %d entries", r.status, len(entries))
	}
}
