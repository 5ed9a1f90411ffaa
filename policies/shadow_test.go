package policies_test

import (
	"context"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/halfdoor/halfdoor/policies"
)

// answering is an engine that gives one answer.
func answering(t *testing.T, decision string) *policies.Engine {
	t.Helper()
	tree := withRules(t, "package halfdoor\n\ndecision := "+decision+"\n")
	tree["halfdoor/datasets/front/data.yaml"] = &fstest.MapFile{Data: tree["halfdoor/datasets/desk/data.yaml"].Data}
	return load(t, policies.Options{Bundle: tree})
}

// shadowing compares calls and waits until all are compared.
func shadowing(t *testing.T, live, candidate *policies.Engine, calls ...*policies.Input) (policies.ShadowCounts, []policies.Difference) {
	t.Helper()
	var mu sync.Mutex
	var told []policies.Difference
	s, err := policies.NewShadow(policies.ShadowOptions{Candidate: candidate, Differs: func(d policies.Difference) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, d)
	}})
	if err != nil {
		t.Fatal(err)
	}
	each := s.Each()
	for _, in := range calls {
		d, err := live.Decide(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		s.Compare(in, d)
		<-each
	}
	s.Close() // what Differs is told of the last is told then
	mu.Lock()
	defer mu.Unlock()
	return s.Counts(), told
}

func TestShadowKinds(t *testing.T) {
	const (
		reason = `"reason": {"code": "a", "text": "A."}`
		allows = `"allow": true, "dataset": "desk", `
	)
	base := "{" + allows + reason + "}"
	for _, tt := range []struct {
		name, live, candidate string
		want                  policies.ShadowKind
	}{
		{"same", base, base, ""},
		{"another sentence", base, "{" + allows + `"reason": {"code": "a", "text": "B."}}`, ""},
		{"the same labels", "{" + allows + `"deny_labels": [{"code": "R"}, {"code": "V"}], ` + reason + "}", "{" + allows + `"deny_labels": [{"code": "V"}, {"code": "R"}], ` + reason + "}", ""},
		{"refuses", base, `{"allow": false, ` + reason + "}", policies.ShadowRefuses},
		{"allows", `{"allow": false, ` + reason + "}", base, policies.ShadowAllows},
		{"fails", base, "7", policies.ShadowFails},
		{"dataset", base, `{"allow": true, "dataset": "front", ` + reason + "}", policies.ShadowDataset},
		{"a label more", base, "{" + allows + `"deny_labels": [{"code": "R"}], ` + reason + "}", policies.ShadowLabels},
		{"a label less", "{" + allows + `"deny_labels": [{"code": "R"}], ` + reason + "}", base, policies.ShadowLabels},
		{"purpose", base, "{" + allows + `"purpose": "TREAT", ` + reason + "}", policies.ShadowTerms},
		{"patient", base, "{" + allows + `"patient": "p", ` + reason + "}", policies.ShadowTerms},
		{"obligation", base, "{" + allows + `"obligations": ["if-match"], ` + reason + "}", policies.ShadowTerms},
		{"emergency", base, "{" + allows + `"break_glass": true, ` + reason + "}", policies.ShadowTerms},
		{"reason", base, "{" + allows + `"reason": {"code": "b", "text": "A."}}`, policies.ShadowReason},
		{"reason of a refusal", `{"allow": false, ` + reason + "}", `{"allow": false, "reason": {"code": "b", "text": "A."}}`, policies.ShadowReason},
	} {
		t.Run(tt.name, func(t *testing.T) {
			live, candidate := answering(t, tt.live), answering(t, tt.candidate)
			counts, told := shadowing(t, live, candidate, call())
			want := map[policies.ShadowKind]uint64{}
			if tt.want != "" {
				want[tt.want] = 1
			}
			if !reflect.DeepEqual(counts.Differences, want) || counts.Live != live.Revision() || counts.Candidate != candidate.Revision() {
				t.Errorf("%+v", counts)
			}
			if (len(told) == 1) != (tt.want != "") || len(told) == 1 && (told[0].Kind != tt.want || told[0].Client != "desk-app" ||
				told[0].Interaction != "read" || told[0].Type != "Appointment" || told[0].LiveRevision != live.Revision() || told[0].ItsRevision != candidate.Revision()) {
				t.Errorf("told of %+v", told)
			}
		})
	}
}

// Another live policy is another comparison.
func TestShadowBeginsAnew(t *testing.T) {
	one, other := answering(t, `{"allow": false, "reason": {"code": "a", "text": "A."}}`), answering(t, `{"allow": false, "reason": {"code": "b", "text": "B."}}`)
	s, err := policies.NewShadow(policies.ShadowOptions{Candidate: other})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	each := s.Each()
	for i, live := range []*policies.Engine{one, one, other} {
		d, err := live.Decide(context.Background(), call())
		if err != nil {
			t.Fatal(err)
		}
		s.Compare(call(), d)
		<-each
		if c := s.Counts(); c.Live != live.Revision() || c.Compared != []uint64{1, 2, 1}[i] {
			t.Errorf("%+v", c)
		}
	}
	if c := s.Counts(); len(c.Differences) != 0 {
		t.Errorf("%+v", c)
	}
}

// A candidate that never ends keeps nobody waiting: calls are dropped and counted, and Close does not wait for it.
func TestShadowOfALoop(t *testing.T) {
	candidate := answering(t, `{"allow": count([1 | some a in numbers.range(1, 100000); some b in numbers.range(1, 100000); a * b < 0]) == 0}`)
	live := answering(t, `{"allow": false, "reason": {"code": "a", "text": "A."}}`)
	d, err := live.Decide(context.Background(), call())
	if err != nil {
		t.Fatal(err)
	}
	s, err := policies.NewShadow(policies.ShadowOptions{Candidate: candidate, Queue: 2})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for range 100 {
		s.Compare(call(), d)
	}
	if c := s.Counts(); c.Dropped < 97 || c.Compared != 0 {
		t.Errorf("%+v", c)
	}
	s.Close()
	if took := time.Since(begun); took > 30*time.Second { // the candidate's budget is a minute here
		t.Errorf("it took %v", took)
	}
	var none *policies.Shadow
	none.Compare(call(), d)
}

func TestShadowNeedsACandidate(t *testing.T) {
	if _, err := policies.NewShadow(policies.ShadowOptions{}); err == nil || !strings.Contains(err.Error(), "candidate") {
		t.Error(err)
	}
}
