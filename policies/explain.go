package policies

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Explanation is why a call is decided as it is, by the rules' own text.
type Explanation struct {
	Decision *Decision `json:"-"`
	Err      error     `json:"-"`        // why there is no decision, which refuses the call
	Branches []Branch  `json:"branches"` // of the decision, in the order in which they were tried
}

// Branch is one way in which the decision could have been made.
type Branch struct {
	File    string     `json:"file"`
	Line    int        `json:"line"`
	Text    string     `json:"text"`             // the first line of what it decides
	Decided bool       `json:"decided"`          // this one was taken
	Held    []string   `json:"held,omitempty"`   // of the one that was taken: its conditions
	Failed  *Condition `json:"failed,omitempty"` // of another: the first condition that did not hold
}

// Condition is one that did not hold, or, for a "not …", one that did.
type Condition struct {
	File   string      `json:"file"`
	Line   int         `json:"line"`
	Text   string      `json:"text"`
	Told   []Told      `json:"told,omitempty"`   // what the policy was told of what the text names
	Below  []Condition `json:"below,omitempty"`  // why the rules that it names did not hold
	Absent string      `json:"absent,omitempty"` // a rule that it names has no value, for these reasons
}

// Told is a value of the input.
type Told struct {
	Field string `json:"field"`
	Value string `json:"value"` // as JSON
}

// maxBelow bounds how deep conditions are followed; a rule that asks itself does not compile.
const maxBelow = 8

// Explain decides about a call as [Engine.Decide] does, by following OPA's own trace of it, without an index of rules, so that
// each condition that was looked at is there to be told.
func (e *Engine) Explain(ctx context.Context, in *Input) *Explanation {
	out := &Explanation{}
	out.Decision, out.Err = e.Decide(ctx, in)
	events, err := e.question.trace(ctx, in.value(), e.budget)
	if err != nil && out.Err == nil {
		out.Err = failure(err)
	}
	t := newTracing(events, in.value())
	for _, v := range t.byPath[entryPoint] {
		at := v.rule.Head.Location
		if at == nil {
			at = v.rule.Location
		}
		b := Branch{File: at.File, Line: at.Row, Text: firstLine(at), Decided: v.exited}
		if v.exited {
			for _, expr := range v.rule.Body {
				if expr.Generated { // of what the rule's head names
					continue
				}
				if text := firstLine(expr.Location); text != "" && text != "true" && !slices.Contains(b.Held, text) {
					b.Held = append(b.Held, text)
				}
			}
		} else if v.failed != nil {
			c := t.condition(v.failed, maxBelow)
			b.Failed = &c
		}
		out.Branches = append(out.Branches, b)
		if v.exited {
			break
		}
	}
	return out
}

// trace evaluates the entry point and keeps what OPA did.
func (q *question) trace(ctx context.Context, input ast.Value, budget time.Duration) ([]*topdown.Event, error) {
	txn, err := q.store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer q.store.Abort(ctx, txn)
	cancel := topdown.NewCancel()
	defer time.AfterFunc(budget, cancel.Cancel).Stop()
	defer context.AfterFunc(ctx, cancel.Cancel)()
	events := topdown.NewBufferTracer()
	err = q.prepare(txn, input, cancel).WithQueryTracer(events).WithIndexing(false).
		Iter(ctx, func(topdown.QueryResult) error { return nil })
	return *events, err
}

// visit is one evaluation of one rule.
type visit struct {
	rule   *ast.Rule
	exited bool
	failed *ast.Expr // the last condition that had no solution
}

// tracing is a trace by the rules that it went through.
type tracing struct {
	input  ast.Value
	byPath map[string][]*visit
}

func newTracing(events []*topdown.Event, input ast.Value) *tracing {
	t := &tracing{input: input, byPath: map[string][]*visit{}}
	byQuery := map[uint64]*visit{}
	for _, e := range events {
		switch node := e.Node.(type) {
		case *ast.Rule:
			switch e.Op {
			case topdown.EnterOp:
				v := &visit{rule: node}
				byQuery[e.QueryID] = v
				path := node.Path().String()
				t.byPath[path] = append(t.byPath[path], v)
			case topdown.ExitOp:
				if v := byQuery[e.QueryID]; v != nil {
					v.exited = true
				}
			}
		case *ast.Expr:
			if v := byQuery[e.QueryID]; e.Op == topdown.FailOp && v != nil && !v.exited {
				v.failed = node
			}
		}
	}
	return t
}

// condition tells of an expression that did not hold.
func (t *tracing) condition(expr *ast.Expr, depth int) Condition {
	c := Condition{Text: firstLine(expr.Location)}
	if expr.Location != nil {
		c.File, c.Line = expr.Location.File, expr.Location.Row
	}
	c.Told = t.told(c.Text)
	if depth == 0 || expr.Negated {
		return c
	}
	seen := map[string]bool{}
	ast.WalkRefs(expr, func(r ast.Ref) bool {
		for n := len(r); n > 1; n-- {
			path := r[:n].String()
			visits := t.byPath[path]
			if len(visits) == 0 || seen[path] || path == entryPoint {
				continue
			}
			seen[path] = true
			if slices.ContainsFunc(visits, func(v *visit) bool { return v.exited }) {
				break // it has a value; which one, is what did not fit
			}
			for _, v := range visits {
				if v.failed == nil {
					continue
				}
				below := t.condition(v.failed, depth-1)
				if !slices.ContainsFunc(c.Below, func(o Condition) bool { return o.File == below.File && o.Line == below.Line && o.Text == below.Text }) {
					c.Below = append(c.Below, below)
				}
			}
			c.Absent = strings.TrimPrefix(path, "data.")
			break
		}
		return false
	})
	return c
}

var inputField = regexp.MustCompile(`\binput(\.[a-z_]+)+`)

// told are the values of the input that a text names.
func (t *tracing) told(text string) (all []Told) {
	for _, field := range inputField.FindAllString(text, -1) {
		ref, err := ast.ParseRef(field)
		if err != nil || slices.ContainsFunc(all, func(o Told) bool { return o.Field == field }) {
			continue
		}
		if v, err := t.input.Find(ref[1:]); err == nil {
			all = append(all, Told{Field: field, Value: v.String()})
		}
	}
	return all
}

// firstLine is how the text at a place begins.
func firstLine(at *ast.Location) string {
	if at == nil {
		return ""
	}
	line, _, _ := strings.Cut(string(at.Text), "\n")
	return strings.TrimSpace(line)
}
