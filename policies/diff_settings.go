package policies

import (
	"encoding/json"
	"slices"
	"strings"
)

// asked are the settings whose changes the grid and the other comparisons tell by what comes of them: below
// data.halfdoor, * for any name.
var asked = [][]string{
	{"datasets"}, {"reasons"}, {"deny_labels"}, {"roles"}, {"categories"}, {"interactions"},
	{"desks", "*", "dataset"}, {"desks", "*", "purposes"}, {"desks", "*", "writes"}, {"desks", "*", "operations"},
}

// varied are the values of the input that the grid varies, and those that the gateway sees to.
var varied = []string{
	"input.version", "input.caller.roles", "input.ticket.category", "input.ticket.id", "input.purpose", "input.request.interaction",
	"input.request.type", "input.request.operation", "input.time.weekday", "input.time.hour", "input.break_glass.reason",
}

// stated compares the rest of the data as it is written, by its leaves: what it comes to may hang on something that no call of
// the grid has, a network or a tenant.
func (c *comparison) stated() {
	old, now := map[string]string{}, map[string]string{}
	spread(c.old.source.data, nil, old)
	spread(c.new.source.data, nil, now)
	for _, at := range both(old, now) {
		what, off := strings.CutPrefix(at, "halfdoor."+switchedPath[1]+".")
		switch {
		case off && now[at] == "":
			c.add(Gains, "switch", "everybody", what, "off: "+old[at], "on")
		case off && old[at] == "":
			c.add(Loses, "switch", "everybody", what, "on", "off: "+now[at])
		default:
			c.add(Changes, "setting", "everybody", at, old[at], now[at])
		}
	}
}

// spread puts the leaves below a value into a map, lists as they are.
func spread(v any, at []string, into map[string]string) {
	if len(at) > 1 && at[0] == datasetsPath[0] && slices.ContainsFunc(asked, func(p []string) bool { return fits(at[1:], p) }) {
		return
	}
	if members, ok := v.(map[string]any); ok {
		for name, below := range members {
			spread(below, append(slices.Clip(at), name), into)
		}
		return
	}
	text, ok := v.(string)
	if !ok {
		doc, err := json.Marshal(v)
		if err != nil {
			return // it came from JSON
		}
		text = string(doc)
	}
	into[strings.Join(at, ".")] = text
}

func fits(at, pattern []string) bool {
	return slices.EqualFunc(at, pattern, func(name, want string) bool { return want == "*" || want == name })
}

// unasked tells which values of the input either policy reads that were the same in all calls that both were asked about: of
// these, what the other rows say holds for one value. It is told only where something changes.
func (c *comparison) unasked() {
	if len(c.changes) == 0 {
		return
	}
	for _, field := range both(readsOf(c.old), readsOf(c.new)) {
		if !slices.Contains(varied, field) {
			c.changes = append(c.changes, Change{Effect: Changes, Kind: "unasked", Who: "everybody", What: field})
		}
	}
}

func readsOf(s *side) map[string]bool {
	names := map[string]bool{}
	for _, name := range s.engine.Reads() {
		names[name] = true
	}
	return names
}
