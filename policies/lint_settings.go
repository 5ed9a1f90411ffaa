package policies

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// settings are the data that the default bundle's rules read, at data.halfdoor, as far as a bundle keeps it there.
type settings struct {
	Roles        map[string]string               `json:"roles"`
	Desks        map[string]deskSettings         `json:"desks"`
	Categories   map[string]string               `json:"categories"`
	Interactions map[string]any                  `json:"interactions"`
	Unversioned  map[string]any                  `json:"unversioned"`
	Tickets      ticketSettings                  `json:"tickets"`
	Hours        hourSettings                    `json:"hours"`
	Reasons      map[string]string               `json:"reasons"`
	Labels       []struct{ System, Code string } `json:"deny_labels"`
	BreakGlass   breakGlassSettings              `json:"break_glass"`
}

type breakGlassSettings struct {
	Roles        map[string]any `json:"roles"`
	Reasons      map[string]any `json:"reasons"`
	Interactions map[string]any `json:"interactions"`
}

type deskSettings struct {
	Dataset    string                    `json:"dataset"`
	Default    string                    `json:"default_purpose"`
	Purposes   map[string]any            `json:"purposes"`
	Writes     map[string]map[string]any `json:"writes"`
	Operations map[string]map[string]any `json:"operations"`
}

type ticketSettings struct {
	Required *bool          `json:"required"`
	NotFor   map[string]any `json:"not_for"`
}

type hourSettings struct {
	Enforced bool `json:"enforced"`
	Days     map[string]struct {
		From int `json:"from"`
		To   int `json:"to"`
	} `json:"days"`
}

// stated reads each setting by itself, so that one of another form does not hide the others.
func (s *source) settings() (out settings) {
	root, _ := s.data[datasetsPath[0]].(map[string]any)
	for name, into := range map[string]any{
		"roles": &out.Roles, "desks": &out.Desks, "categories": &out.Categories, "interactions": &out.Interactions, "unversioned": &out.Unversioned,
		"tickets": &out.Tickets, "hours": &out.Hours, "reasons": &out.Reasons, "deny_labels": &out.Labels,
		"break_glass": &out.BreakGlass,
	} {
		if doc, err := json.Marshal(root[name]); err == nil {
			_ = json.Unmarshal(doc, into) // of another form: the bundle's own
		}
	}
	return out
}

// settings finds names in the default bundle's settings that lead nowhere.
func (l *linter) settings() {
	s := l.source.settings()
	root := datasetsPath[0]
	add := func(at []string, text, fix string) {
		l.addData("settings", SeverityWarning, append([]string{root}, at...), text, fix)
	}
	known := func(field, value string, at ...string) {
		if l.defs.Has != nil && !l.defs.Has(field, value) {
			add(at, fmt.Sprintf("%s is never %q, so this is without effect", field, value), "upper and lower case count")
		}
	}
	l.switched(known)
	if len(s.Desks) == 0 {
		return // a bundle with rules of its own
	}
	for _, role := range slices.Sorted(maps.Keys(s.Roles)) {
		if _, ok := s.Desks[s.Roles[role]]; !ok {
			add([]string{"roles", role}, fmt.Sprintf("role %s opens the desk %q, which there is not", role, s.Roles[role]), "there is "+names(s.Desks))
		}
	}
	for _, category := range slices.Sorted(maps.Keys(s.Categories)) {
		if _, ok := s.Desks[s.Categories[category]]; !ok {
			add([]string{"categories", category}, fmt.Sprintf("tickets of category %s are for the desk %q, which there is not", category, s.Categories[category]), "there is "+names(s.Desks))
		}
	}
	opened := slices.Collect(maps.Values(s.Roles))
	for _, name := range slices.Sorted(maps.Keys(s.Desks)) {
		d, at := s.Desks[name], []string{"desks", name}
		plan := l.plans[d.Dataset]
		switch {
		case plan == nil:
			add(append(at, "dataset"), fmt.Sprintf("desk %s is shown the dataset %q, which there is not", name, d.Dataset), "there is "+names(l.plans))
			continue
		case len(s.Roles) > 0 && !slices.Contains(opened, name):
			add(at, fmt.Sprintf("no role opens the desk %s", name), "name one below roles:")
		}
		if d.Default != "" && d.Purposes[d.Default] == nil {
			add(append(at, "default_purpose"), fmt.Sprintf("desk %s may not state its own default purpose %s", name, d.Default), "add it to the desk's purposes")
		}
		for _, kind := range slices.Sorted(maps.Keys(d.Writes)) {
			here := append(at, "writes", kind)
			switch {
			case !plan.Has(kind):
				add(here, fmt.Sprintf("desk %s may write %s, which its dataset has no row for", name, kind), "add a row, or remove the write")
			case len(plan.Dataset().Write[kind]) == 0 && (d.Writes[kind]["create"] != nil || d.Writes[kind]["update"] != nil || d.Writes[kind]["patch"] != nil):
				add(here, fmt.Sprintf("desk %s may write %s, of which its dataset lets nothing be written", name, kind), "add write: {"+kind+": […]} to the dataset, or remove the write")
			}
			for _, interaction := range slices.Sorted(maps.Keys(d.Writes[kind])) {
				known("input.request.interaction", interaction, append(slices.Clone(here), interaction)...)
			}
		}
		for _, kind := range slices.Sorted(maps.Keys(plan.Dataset().Write)) {
			if len(d.Writes[kind]) == 0 && !slices.ContainsFunc(slices.Collect(maps.Values(s.Desks)), func(o deskSettings) bool { return o.Dataset == d.Dataset && len(o.Writes[kind]) > 0 }) {
				l.addData("settings", SeverityHint, append(slices.Clone(datasetsPath), d.Dataset, "write", kind),
					fmt.Sprintf("dataset %s: elements of %s can be written, and no desk may write it", d.Dataset, kind), "add it to the desk's writes, or remove it")
			}
		}
	}
	for _, interaction := range slices.Sorted(maps.Keys(s.Interactions)) {
		known("input.request.interaction", interaction, "interactions", interaction)
	}
	for _, kind := range slices.Sorted(maps.Keys(s.Tickets.NotFor)) {
		known("input.request.type", kind, "tickets", "not_for", kind)
	}
	weekdays := inputEnums()["input.time.weekday"]
	for _, day := range slices.Sorted(maps.Keys(s.Hours.Days)) {
		at := []string{"hours", "days", day}
		if !slices.Contains(weekdays, day) {
			add(at, fmt.Sprintf("no day is called %q", day), "a day is one of "+strings.Join(weekdays, ", "))
		}
		if d := s.Hours.Days[day]; d.From < 0 || d.To > 24 || d.From >= d.To {
			add(at, fmt.Sprintf("%s is open from %d to %d, which is never", day, d.From, d.To), "hours are from 0 to 24")
		}
	}
}

// switched finds switches under names that nothing has: what is believed to be off is on.
func (l *linter) switched(known func(field, value string, at ...string)) {
	off := statedSwitches(l.source, &problems{})
	for plural, kind := range switchKinds {
		for at := range off {
			here := []string{switchedPath[1], plural, at[1]}
			switch {
			case at[0] != kind:
			case kind == "type" || kind == "interaction":
				known("input.request."+kind, at[1], here...)
			case kind == "workflow" && l.plans[at[1]] == nil:
				l.addData("settings", SeverityWarning, append([]string{datasetsPath[0]}, here...),
					fmt.Sprintf("workflow %s is switched off, and there is no such dataset", at[1]), "there is "+names(l.plans))
			}
		}
	}
}

func names[V any](m map[string]V) string { return strings.Join(slices.Sorted(maps.Keys(m)), ", ") }
