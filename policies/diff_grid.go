package policies

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxGrid bounds the calls that both policies are asked about.
const maxGrid = 1_000_000

// grid are the calls that two policies are asked about: all that either names.
type grid struct {
	roles, interactions, types, categories, purposes, weekdays, reasons []string
}

func newGrid(sides ...*side) *grid {
	roles, interactions, types, purposes := map[string]bool{}, map[string]bool{"read": true, "search-type": true}, map[string]bool{}, map[string]bool{"": true}
	categories, reasons := map[string]bool{"": true}, map[string]bool{"": true}
	put := func(into map[string]bool, names ...string) {
		for _, name := range names {
			into[name] = true
		}
	}
	for _, s := range sides {
		put(roles, slices.Collect(maps.Keys(s.settings.Roles))...)
		put(interactions, slices.Collect(maps.Keys(s.settings.Interactions))...)
		put(categories, slices.Collect(maps.Keys(s.settings.Categories))...)
		put(roles, slices.Collect(maps.Keys(s.settings.BreakGlass.Roles))...)
		put(interactions, slices.Collect(maps.Keys(s.settings.BreakGlass.Interactions))...)
		put(reasons, slices.Collect(maps.Keys(s.settings.BreakGlass.Reasons))...)
		for _, plan := range s.engine.plans {
			put(types, slices.Collect(maps.Keys(plan.Dataset().Resources))...)
		}
		for _, d := range s.settings.Desks {
			put(purposes, slices.Collect(maps.Keys(d.Purposes))...)
			for kind, writes := range d.Writes {
				put(types, kind)
				put(interactions, slices.Collect(maps.Keys(writes))...)
			}
			for kind, operations := range d.Operations {
				put(types, kind)
				for name := range operations {
					put(interactions, "operation "+name)
				}
			}
		}
		// What the rules compare the input with, besides.
		for field, into := range map[string]map[string]bool{"input.request.interaction": interactions, "input.request.type": types,
			"input.ticket.category": categories, "input.purpose": purposes, "input.caller.roles": roles, "input.break_glass.reason": reasons} {
			put(into, compared(s.source.live, field)...)
		}
	}
	return &grid{
		roles: sorted(roles), interactions: sorted(interactions), types: sorted(types), categories: sorted(categories),
		purposes: sorted(purposes), weekdays: inputEnums()["input.time.weekday"], reasons: sorted(reasons),
	}
}

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }

// call is one of the grid.
func (g *grid) call(role, interaction, kind, category string) *Input {
	in := &Input{
		Caller: Caller{Subject: "somebody", Client: "some-client", Roles: []string{role}}, Ticket: Ticket{ID: "T-1", Category: category},
		Request: Request{Interaction: interaction, Type: kind, HasID: interaction == "read"}, Context: Context{EHR: "main", Tenant: "main"},
		Network: Network{Source: "192.0.2.10"}, Time: Time{Weekday: "monday", Hour: 10},
	}
	in.Request.Interaction, in.Request.Operation, _ = strings.Cut(interaction, " ")
	return in
}

// ask says in words what a policy decides.
func (s *side) ask(ctx context.Context, in *Input) (string, bool) {
	d, err := s.engine.Decide(ctx, in)
	switch {
	case err != nil:
		return "no decision", false
	case d.Allow:
		text := "allowed with " + d.Dataset
		if d.BreakGlass {
			text += " in an emergency"
		}
		for _, o := range d.Obligations {
			text += ", under " + string(o)
		}
		return text, true
	}
	return "refused: " + d.Reason.Code, false
}

// role compares what both decide about the calls of one role: first what it may do with which ticket, also in an emergency,
// then, from a call that both allow, for which purposes, at which hours, and without a ticket.
func (c *comparison) role(ctx context.Context, g *grid, role string) error {
	var base *Input
	for _, reason := range g.reasons {
		common, err := c.access(ctx, g, role, reason)
		if err != nil {
			return err
		}
		if reason == "" {
			base = common
		}
	}
	if base == nil {
		return nil
	}
	for _, purpose := range g.purposes {
		in := *base
		in.Purpose = purpose
		c.point(ctx, "purpose", role, "the purpose "+orNone(purpose), &in)
	}
	in := *base
	in.Ticket = Ticket{}
	c.point(ctx, "ticket", role, "without a ticket: "+base.Request.Interaction+" "+base.Request.Type, &in)
	c.hours(ctx, g, role, base)
	return ctx.Err()
}

// access compares what a role may do under a reason for emergency access, or none, and finds a call that both allow.
func (c *comparison) access(ctx context.Context, g *grid, role, reason string) (base *Input, err error) {
	type move struct{ interaction, before, after, effect, tickets string }
	moved := map[move][]string{} // types
	for _, interaction := range g.interactions {
		for _, kind := range g.types {
			for _, category := range g.categories {
				in := g.call(role, interaction, kind, category)
				in.BreakGlass.Reason = reason
				before, could := c.old.ask(ctx, in)
				after, can := c.new.ask(ctx, in)
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				if base == nil && could && can {
					base = in
				}
				if before != after && (reason == "" || could || can) { // what is refused anyhow is told once
					m := move{interaction, before, after, effect(could, can), category}
					moved[m] = append(moved[m], kind)
				}
			}
		}
	}
	// The same change for every ticket is one; so it is for several.
	byTickets := map[move][]string{}
	for m, kinds := range moved {
		one := m
		one.tickets = strings.Join(kinds, ", ")
		byTickets[one] = append(byTickets[one], m.tickets)
	}
	for m, categories := range byTickets {
		what := m.interaction + " " + m.tickets
		if len(categories) < len(g.categories) {
			slices.Sort(categories)
			for i, category := range categories {
				if category == "" {
					categories[i] = "none"
				}
			}
			what += " (ticket category " + strings.Join(categories, ", ") + ")"
		}
		if reason != "" {
			c.add(m.effect, "emergency", role, what+" for "+reason, m.before, m.after)
			continue
		}
		c.add(m.effect, "access", role, what, m.before, m.after)
	}
	return base, nil
}

func orNone(s string) string {
	if s == "" {
		return "none stated"
	}
	return s
}

func effect(could, can bool) string {
	switch {
	case can && !could:
		return Gains
	case could && !can:
		return Loses
	}
	return Changes
}

// point asks both about one call.
func (c *comparison) point(ctx context.Context, kind, who, what string, in *Input) {
	before, could := c.old.ask(ctx, in)
	after, can := c.new.ask(ctx, in)
	c.add(effect(could, can), kind, who, what, before, after)
}

// hours compares the week, and tells of each day the hours in which both differ.
func (c *comparison) hours(ctx context.Context, g *grid, role string, base *Input) {
	for _, day := range g.weekdays {
		type span struct {
			from, to      int
			before, after string
			effect        string
		}
		var spans []span
		for hour := range 24 {
			in := *base
			in.Time = Time{Weekday: day, Hour: hour}
			before, could := c.old.ask(ctx, &in)
			after, can := c.new.ask(ctx, &in)
			if before == after {
				continue
			}
			if n := len(spans); n > 0 && spans[n-1].to == hour && spans[n-1].before == before && spans[n-1].after == after {
				spans[n-1].to++
				continue
			}
			spans = append(spans, span{hour, hour + 1, before, after, effect(could, can)})
		}
		for _, s := range spans {
			c.add(s.effect, "hours", role, fmt.Sprintf("%s from %d to %d", day, s.from, s.to), s.before, s.after)
		}
	}
}
