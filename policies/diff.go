package policies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/halfdoor/halfdoor/transforms"
)

// The effects of a change on whom it is about.
const (
	Gains   = "gains"
	Loses   = "loses"
	Changes = "changes"
)

// Change is one thing that another bundle does otherwise.
type Change struct {
	Effect string `json:"effect"`
	Kind   string `json:"kind"` // access, element, search, write, candidates, label, purpose, hours, ticket, emergency, reason, setting, switch, rules, unasked
	Who    string `json:"who"`  // a role, or a dataset
	What   string `json:"what"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Compare says what another bundle does otherwise. Both are loaded. Their datasets and settings are compared as they are; what
// their rules decide, by asking both about every role, interaction, type, ticket category, purpose, hour and reason for emergency
// access that either names. What the rules read besides is the same in all of these calls, and told as unasked.
func Compare(ctx context.Context, before, after Options) ([]Change, error) {
	var sides [2]side
	for i, o := range []Options{before, after} {
		if o.Bundle == nil {
			o.Bundle = Default()
		}
		engine, err := Load(o)
		if err != nil {
			return nil, err
		}
		var found problems
		src := read(o.Bundle, &found)
		sides[i] = side{engine: engine, source: src, settings: src.settings()}
	}
	c := &comparison{old: &sides[0], new: &sides[1]}
	c.texts()
	c.stated()
	c.datasets()
	if err := c.decisions(ctx); err != nil {
		return nil, err
	}
	c.unasked()
	slices.SortStableFunc(c.changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Who, b.Who), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Effect, b.Effect), cmp.Compare(a.What, b.What))
	})
	return c.changes, nil
}

type side struct {
	engine   *Engine
	source   *source
	settings settings
}

type comparison struct {
	old, new *side
	changes  []Change
}

// add notes a change; one without a difference is none.
func (c *comparison) add(effect, kind, who, what, before, after string) {
	if before == after {
		return
	}
	if effect == "" {
		switch {
		case before == "":
			effect = Gains
		case after == "":
			effect = Loses
		default:
			effect = Changes
		}
	}
	c.changes = append(c.changes, Change{Effect: effect, Kind: kind, Who: who, What: what, Before: before, After: after})
}

// texts compares sentences, labels, and the text of rules.
func (c *comparison) texts() {
	for _, code := range both(c.old.settings.Reasons, c.new.settings.Reasons) {
		c.add(Changes, "reason", "everybody", code, c.old.settings.Reasons[code], c.new.settings.Reasons[code])
	}
	labels := func(s *side) map[string]string {
		m := map[string]string{}
		for _, l := range s.engine.StatedLabels() {
			m[l.System+"|"+l.Code] = "denied"
		}
		return m
	}
	old, now := labels(c.old), labels(c.new)
	for _, label := range both(old, now) {
		effect := Loses
		if now[label] == "" {
			effect = Gains
		}
		c.add(effect, "label", "everybody", "resources labelled "+label, cmp.Or(old[label], "shown"), cmp.Or(now[label], "shown"))
	}
	var files []string
	for _, file := range both(c.old.source.live, c.new.source.live) {
		a, b := c.old.source.live[file], c.new.source.live[file]
		if a == nil || b == nil || a.String() != b.String() {
			files = append(files, file)
		}
	}
	if len(files) > 0 {
		c.changes = append(c.changes, Change{Effect: Changes, Kind: "rules", Who: "everybody", What: strings.Join(files, ", ")})
	}
}

// both are the keys of either map, sorted.
func both[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

// datasets compares what leaves, what can be searched and what written.
func (c *comparison) datasets() {
	for _, name := range both(c.old.engine.plans, c.new.engine.plans) {
		a, b := &transforms.Dataset{}, &transforms.Dataset{}
		if p := c.old.engine.plans[name]; p != nil {
			a = p.Dataset()
		}
		if p := c.new.engine.plans[name]; p != nil {
			b = p.Dataset()
		}
		who := "dataset " + name
		for _, kind := range both(a.Resources, b.Resources) {
			for _, path := range both(a.Resources[kind], b.Resources[kind]) {
				from, to := a.Resources[kind][path], b.Resources[kind][path]
				effect := Changes
				switch shown, now := exposure(from), exposure(to); {
				case now > shown:
					effect = Gains
				case now < shown:
					effect = Loses
				}
				c.add(effect, "element", who, kind+"."+path, asRow(from), asRow(to))
			}
		}
		lists := func(kind string, from, to map[string][]string) {
			for _, resource := range both(from, to) {
				for _, one := range from[resource] {
					if !slices.Contains(to[resource], one) {
						c.add(Loses, kind, who, resource+": "+one, "allowed", "")
					}
				}
				for _, one := range to[resource] {
					if !slices.Contains(from[resource], one) {
						c.add(Gains, kind, who, resource+": "+one, "", "allowed")
					}
				}
			}
		}
		lists("search", a.Search, b.Search)
		lists("write", a.Write, b.Write)
		for _, kind := range both(a.Candidates, b.Candidates) {
			effect := Loses
			if n := b.Candidates[kind]; n == 0 || n > a.Candidates[kind] && a.Candidates[kind] > 0 {
				effect = Gains
			}
			c.add(effect, "candidates", who, kind, bound(a.Candidates[kind]), bound(b.Candidates[kind]))
		}
	}
}

func bound(n int) string {
	if n == 0 {
		return "unbounded"
	}
	return fmt.Sprintf("at most %d", n)
}

func asRow(r transforms.Rule) string {
	if r.Method == transforms.Fixed {
		return "fixed " + r.Value
	}
	return r.Method.String()
}

// exposure orders methods by how much they tell.
func exposure(r transforms.Rule) int {
	return slices.Index([]transforms.Method{transforms.Remove, transforms.Fixed, transforms.Mask, transforms.Hash, transforms.Token,
		transforms.Reference, transforms.Year, transforms.Month, transforms.Shift, transforms.Keep}, r.Method)
}

// decisions asks both policies about the same calls.
func (c *comparison) decisions(ctx context.Context) error {
	g := newGrid(c.old, c.new)
	if len(g.roles)*len(g.interactions)*len(g.types)*len(g.categories) > maxGrid {
		return errors.New("the bundles name more roles, interactions, types and categories than can be asked about")
	}
	for _, role := range g.roles {
		if err := c.role(ctx, g, role); err != nil {
			return err
		}
	}
	return nil
}
