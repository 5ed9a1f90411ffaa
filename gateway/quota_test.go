package gateway_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/accesslog"
	"github.com/halfdoor/halfdoor/gateway/demo"
)

func limited(limits string) setting {
	return withConfig(func(y string) string { return y + "limits: {" + limits + "}\n" })
}

// TestPatientQuota has an agent look up one patient more than an hour allows.
func TestPatientQuota(t *testing.T) {
	var ahead atomic.Int64
	w := newWorld(t, limited("patients_per_hour: 2"), func(o *worldOptions) {
		o.run = func(r *gateway.RunOptions) {
			r.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		}
	})
	later := time.Now().Add(3 * time.Hour).Unix()
	mint := func(subject string) string {
		return w.token("demo-access", demo.TokenOptions{Claims: map[string]any{"sub": subject, "exp": later}})
	}
	agent, other := mint("agent-1"), mint("agent-2")
	served := func(token string, patient int) {
		t.Helper()
		if r := w.get(token, "/Patient?"+identifier(w.sandbox, patient)); r.status != 200 || len(r.json().Get("entry").Array()) != 1 {
			t.Fatalf("patient %d: %d %s", patient, r.status, r.body)
		}
	}
	served(agent, 0)
	served(agent, 1)
	refused := func() {
		t.Helper()
		r := w.get(agent, "/Patient?"+identifier(w.sandbox, 2))
		if r.status != 429 || r.code() != "patient-quota" || r.header.Get("Retry-After") == "" || strings.Contains(string(r.body), "entry") {
			t.Fatalf("a third patient: %d %s, Retry-After %q", r.status, r.body, r.header.Get("Retry-After"))
		}
		if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Status != 429 || rec.Code != "patient-quota" || len(rec.Patients)+len(rec.Subjects) != 0 {
			t.Errorf("record %+v", rec)
		}
	}
	refused()
	served(agent, 1) // who is known already can be looked up again
	served(other, 2) // and each agent has their own quota
	if r := w.get(agent, "/Location"); r.status != 200 {
		t.Errorf("what names no patient: %d %s", r.status, r.body)
	}
	ahead.Store(int64(59 * time.Minute))
	refused()
	ahead.Store(int64(61 * time.Minute))
	served(agent, 2)

	w.edit("halfdoor.yaml", func(y string) string {
		return strings.Replace(y, "patients_per_hour: 2", "patients_per_hour: 3", 1)
	})
	secret, err := os.ReadFile(w.made.Admin)
	check(t, err)
	if status, body := w.ask("POST", "/reload", string(secret)); status != 200 {
		t.Fatalf("reload: %d %s", status, body)
	}
	served(agent, 0) // what was counted before a reload counts after it
	served(agent, 3)
	if r := w.get(agent, "/Patient?"+identifier(w.sandbox, 5)); r.code() != "patient-quota" {
		t.Errorf("after a reload: %d %s", r.status, r.body)
	}
	_, body := w.ask("GET", "/status", string(secret))
	if told := gjson.Get(body, "patients_told"); told.Get("most").Int() != 3 || told.Get("actors").Int() != 1 || len(told.Map()) != 3 {
		t.Errorf("status %s", body)
	}
	if _, body := w.ask("GET", "/metrics", ""); !strings.Contains(body, "halfdoor_quota_patients_most 3") || !strings.Contains(body, `outcome="patient-quota"`) {
		t.Error("the metrics do not tell of the quota")
	}
}

// TestPatientQuotaCuts lets a list name more patients than are allowed: it is cut before the
// window that would.
func TestPatientQuotaCuts(t *testing.T) {
	const limit = 12
	w := newWorld(t, limited(fmt.Sprintf("window: 4KiB, patients_per_hour: %d", limit)))
	r := w.get(w.token("demo-scheduling", demo.TokenOptions{}), "/Appointment?_count=200", "X-Request-Id", "list")
	if r.status != 200 || r.err == nil {
		t.Fatalf("%d, cut by %v, %d bytes", r.status, r.err, len(r.body))
	}
	patients := map[string]bool{}
	recs := w.records("list")
	for _, rec := range recs {
		for _, p := range rec.Patients {
			patients[p] = true
		}
	}
	if len(patients) == 0 || len(patients) > limit {
		t.Errorf("told of %d patients under a limit of %d", len(patients), limit)
	}
	if last := recs[len(recs)-1]; last.Kind != accesslog.KindClose || last.Code != "patient-quota" || last.Detail != "aborted" {
		t.Errorf("closing record %+v", last)
	}
}

// TestClientQuota gives one client a quota of its own, and another none.
func TestClientQuota(t *testing.T) {
	w := newWorld(t, withConfig(func(y string) string {
		return strings.Replace(y, "clients:\n", "clients:\n  - {id: demo-access, patients_per_hour: 1, calls_per_minute: 2}\n  - {id: demo-billing, patients_per_hour: 0}\n", 1) +
			"limits: {patients_per_hour: 1}\n"
	}))
	access, billing := w.token("demo-access", demo.TokenOptions{}), w.token("demo-billing", demo.TokenOptions{})
	for patient := range 3 {
		if r := w.get(billing, "/Patient?"+identifier(w.sandbox, patient)); r.status != 200 {
			t.Errorf("without a quota: %d %s", r.status, r.body)
		}
	}
	for patient, want := range []string{"", "patient-quota", "too-many-calls"} {
		r := w.get(access, "/Patient?"+identifier(w.sandbox, patient))
		if r.code() != want {
			t.Errorf("call %d: %d %s, want %s", patient, r.status, r.body, want)
		}
	}
}

// brokenQuota cannot count.
type brokenQuota struct{}

func (brokenQuota) Take(string, []string, int) (time.Duration, error) {
	return 0, errors.New("broken on purpose")
}

// TestQuotaUnavailable breaks the quota: nobody is told of a patient whom nobody can count.
func TestQuotaUnavailable(t *testing.T) {
	w := newWorld(t, func(o *worldOptions) { o.run = func(r *gateway.RunOptions) { r.Quota = brokenQuota{} } })
	token := w.token("demo-access", demo.TokenOptions{})
	r := w.get(token, "/Patient?"+identifier(w.sandbox, 0))
	if r.status != 503 || r.code() != "quota-unavailable" {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Code != "quota-unavailable" || len(rec.Patients) != 0 {
		t.Errorf("record %+v", rec)
	}
	if !strings.Contains(w.operator.String(), "quota-unavailable") {
		t.Error("the operator is not told why")
	}
	if r := w.get(token, "/Location"); r.status != 200 {
		t.Errorf("what names no patient: %d", r.status)
	}
}

// TestSourceRate slows down whoever tries tokens: the issuer's keys are not asked for more.
func TestSourceRate(t *testing.T) {
	w := newWorld(t, limited("source_calls_per_minute: 3"))
	for range 3 {
		if r := w.get("guess", "/Patient"); r.status != 401 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	r := w.get(w.token("demo-access", demo.TokenOptions{}), "/Location")
	if r.status != 429 || r.code() != "too-many-calls" || r.header.Get("Retry-After") != "20" {
		t.Fatalf("%d %s, Retry-After %q", r.status, r.body, r.header.Get("Retry-After"))
	}
	if rec := w.record(r); rec.Kind != accesslog.KindRefusal || rec.Code != "too-many-calls" || rec.Actor.Client != "" || rec.Source == "" {
		t.Errorf("record %+v", rec)
	}
}
