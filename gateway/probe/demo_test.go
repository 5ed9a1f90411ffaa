package probe_test

import (
	"bytes"
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/certs"
	"github.com/halfdoor/halfdoor/gateway"
	"github.com/halfdoor/halfdoor/gateway/demo"
	"github.com/halfdoor/halfdoor/gateway/probe"
	"github.com/halfdoor/halfdoor/transforms"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func dataset(t *testing.T, name string) *transforms.Dataset {
	t.Helper()
	engine, err := gateway.Policies("")
	check(t, err)
	plan, ok := engine.Plan(name)
	if !ok {
		t.Fatalf("no dataset %q", name)
	}
	return plan.Dataset()
}

// start runs a demo for a test, and says how its gateway is attacked by one desk.
func start(t *testing.T) (*demo.Demo, func(client, dataset string) probe.Options) {
	t.Helper()
	d, err := demo.Start(context.Background(), demo.Options{Listen: "127.0.0.1:0", Log: t.Output()})
	check(t, err)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	roots, err := certs.Pool(d.CA())
	check(t, err)
	token := func(client string) probe.Token {
		s, err := d.Token(client, demo.TokenOptions{})
		check(t, err)
		return probe.Token(s)
	}
	return d, func(client, of string) probe.Options {
		o := probe.Options{
			URL: d.FHIR(), Token: token(client), Other: token("demo-billing"), PatientToken: token("demo-app"), Patient: d.Patient(),
			EHR: d.EHR(), Roots: roots,
		}
		if of != "" {
			o.Dataset = dataset(t, of)
		}
		return o
	}
}

// holds makes of each result a test by the name of its check.
func holds(t *testing.T, report *probe.Report) {
	for _, r := range report.Results {
		t.Run(r.Name, func(t *testing.T) {
			switch {
			case r.Skipped != "":
				t.Errorf("not made: %s", r.Skipped)
			case !r.OK:
				t.Error(r.Evidence)
			case r.Evidence == "":
				t.Error("nothing was seen")
			}
		})
	}
	if report.Grade() != "A" {
		t.Errorf("grade %s", report.Grade())
	}
	for _, note := range report.Notes {
		t.Error(note)
	}
}

// TestAttacks makes every attack on a whole gateway.
func TestAttacks(t *testing.T) {
	t.Parallel() // most of the time is waited for
	_, attack := start(t)
	o := attack("demo-scheduling", "scheduling")
	report, err := probe.Run(context.Background(), o)
	check(t, err)
	if len(report.Results) != len(probe.Checks()) {
		t.Errorf("%d results of %d checks", len(report.Results), len(probe.Checks()))
	}
	holds(t, report)
	var text bytes.Buffer
	check(t, report.WriteText(&text))
	check(t, report.WriteJSON(&text))
	for _, secret := range []probe.Token{o.Token, o.Other, o.PatientToken} {
		if strings.Contains(text.String(), string(secret)) {
			t.Error("a token is in the report")
		}
	}
}

// TestAttacksByDesk makes those that show leaks as the other desks, and as somebody who has no
// dataset to judge by.
func TestAttacksByDesk(t *testing.T) {
	t.Parallel() // most of the time is waited for
	_, attack := start(t)
	for _, desk := range []struct{ name, client, dataset string }{{"access", "demo-access", "access"}, {"billing", "demo-billing", "billing"}, {"no dataset", "demo-scheduling", ""}} {
		t.Run(desk.name, func(t *testing.T) {
			o := attack(desk.client, desk.dataset)
			o.Only = []string{"leak/*"}
			if desk.client == "demo-billing" {
				o.Other = attack("demo-scheduling", "").Token
			}
			report, err := probe.Run(context.Background(), o)
			check(t, err)
			holds(t, report)
		})
	}
}

// passesBare are the checks that an EHR which asks nobody who calls passes all the same:
// because it does not know what they try, or because it says no by itself.
var passesBare = []string{
	"leak/metadata-in-query", "leak/full-url", "leak/include-url", "leak/filter", "leak/text", "leak/query-list", "leak/elements", "leak/head", "leak/id-prefix", "leak/own-prefix",
	"leak/double-slash", "leak/graphql", "leak/export", "leak/operation",
	"refuse/post-search-disagrees", "refuse/method-override", "refuse/write-back",
	"wire/absolute-form", "wire/host", "wire/te-cl", "wire/h2-resets", "wire/failure",
}

// TestBareEHR grades the sandbox EHR without a gateway: every leak that it can have shows.
func TestBareEHR(t *testing.T) {
	t.Parallel() // most of the time is waited for
	e := demo.NewEHR(demo.EHROptions{Seed: 7})
	server := httptest.NewServer(e)
	defer server.Close()
	base := server.URL + demo.BasePath
	e.SetBaseURL(base)
	before := resources(e)
	report, err := probe.Run(context.Background(), probe.Options{
		URL: base, Token: "any", Other: "other", PatientToken: "held", Patient: e.IDs("Patient")[0], EHR: base, Dataset: dataset(t, "scheduling"), Slow: 2 * time.Second, Timeout: 5 * time.Second,
	})
	check(t, err)
	for _, r := range report.Results {
		t.Run(r.Name, func(t *testing.T) {
			if r.Skipped != "" {
				t.Fatalf("not made: %s", r.Skipped)
			}
			if passes := slices.Contains(passesBare, r.Name); r.OK != passes {
				t.Errorf("ok %v, want %v: %s", r.OK, passes, r.Evidence)
			}
		})
	}
	if report.Grade() != "F" {
		t.Errorf("grade %s", report.Grade())
	}
	if after := resources(e); !slices.Equal(before, after) {
		t.Errorf("the probe left something behind: %d resources, before %d", len(after), len(before))
	}
}

// resources are all that an EHR holds.
func resources(e *demo.EHR) []string {
	var all []string
	for _, kind := range e.Types() {
		for _, id := range e.IDs(kind) {
			all = append(all, kind+"/"+id)
		}
	}
	return all
}
