package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/halfdoor/halfdoor/configs"
	"github.com/halfdoor/halfdoor/gateway/fhir"
	"github.com/halfdoor/halfdoor/gateway/state"
	"github.com/halfdoor/halfdoor/policies"
)

// Kill switches: a client, a ticket category, an EHR, a resource type, an interaction or a workflow (by the dataset of
// its answers) is switched off, and every call of it that begins after is refused. A bundle says so in its data
// (policies.SwitchKinds), an administrator by the admin listener; a thing is off while either says so.

// Switches keep what administrators switched off. What is off is so for every call that begins after Off has returned,
// also after a restart, until On. An error of Off may come with a switch that is off; one of On leaves it off.
type Switches interface {
	IsOff(kind, name string) bool
	List() []state.Switch
	Off(kind, name, reason string) error
	On(kind, name string) (was bool, err error)
}

// switchesFile is where they are kept, where nothing else is configured.
func switchesFile(cfg *configs.Config) string {
	return cmp.Or(cfg.Admin.Switches, filepath.Join(cfg.Vault.Dir, "switches.json"))
}

// switchable is what a refusal calls each kind.
var switchable = map[string]string{
	"client": "this app", "category": "tickets of this category", "ehr": "this records system", "type": "records of this type",
	"interaction": "calls of this kind", "workflow": "this kind of support",
}

// on refuses what is switched off.
func (c *call) on(kind, name string) error {
	_, off := c.gen.policies.SwitchedOff(kind, name)
	if !off && !c.g.switches.IsOff(kind, name) {
		return nil
	}
	if c.rec.Detail == "" {
		c.rec.Detail = "switched off: " + kind
	}
	return refusal("switched-off").naming(switchable[kind])
}

// offered refuses a request of which a part is switched off.
func (c *call) offered(req *fhir.Request) error {
	if err := c.on("interaction", string(req.Interaction)); err != nil {
		return err
	}
	for _, kind := range append([]string{req.Type}, req.Types...) {
		if err := c.on("type", kind); err != nil {
			return err
		}
	}
	return nil
}

// errSwitch is an act on the switches that cannot be meant.
type errSwitch string

func (e errSwitch) Error() string { return string(e) }

// interactions are those that can be switched off.
var interactions = []fhir.Interaction{
	fhir.Read, fhir.VRead, fhir.Create, fhir.Update, fhir.Patch, fhir.Delete, fhir.HistoryInstance, fhir.HistoryType, fhir.HistorySystem,
	fhir.SearchType, fhir.SearchSystem, fhir.SearchCompartment, fhir.Operation, fhir.Batch, fhir.Transaction,
}

// switchOff records and then does what an administrator asks for. A name that nothing has is refused: a misspelt one
// would leave on what is believed to be off.
func (g *Gateway) switchOff(kind, name, reason string) error {
	gen := g.current.Load()
	switch {
	case !slices.Contains(policies.SwitchKinds(), kind):
		return errSwitch("kind: want one of " + strings.Join(policies.SwitchKinds(), ", "))
	case !plainText(name, 256):
		return errSwitch("name: want 1 to 256 printable characters")
	case !plainText(reason, 300):
		return errSwitch("reason: want 1 to 300 printable characters, and nothing of a patient")
	case kind == "type" && !fhir.Known(name):
		return errSwitch("name: FHIR R4 has no such resource type")
	case kind == "interaction" && !slices.Contains(interactions, fhir.Interaction(name)):
		return errSwitch("name: there is no such interaction")
	case kind == "ehr" && !slices.ContainsFunc(gen.routes, func(r *route) bool { return r.name == name }):
		return errSwitch("name: there is no such EHR")
	case kind == "workflow" && !slices.Contains(gen.policies.Datasets(), name):
		return errSwitch("name: the policy has no such dataset")
	}
	if err := g.Act("switch-off", fmt.Sprintf("%s %s: %s", kind, name, reason)); err != nil {
		return err
	}
	err := g.switches.Off(kind, name, reason)
	g.logger.Warn().Err(err).Str("kind", kind).Str("name", name).Msg("switched off")
	return err
}

// switchOn records and then undoes it.
func (g *Gateway) switchOn(kind, name string) error {
	if !g.switches.IsOff(kind, name) {
		if _, off := g.current.Load().policies.SwitchedOff(kind, name); off {
			return errSwitch("the policy has switched it off; a bundle that does not say so switches it on")
		}
		return errSwitch("it is not switched off")
	}
	if err := g.Act("switch-on", kind+" "+name); err != nil {
		return err
	}
	_, err := g.switches.On(kind, name)
	g.logger.Warn().Err(err).Str("kind", kind).Str("name", name).Msg("switched on")
	return err
}

// switchedOff is one thing that is off, and who says so.
type switchedOff struct {
	state.Switch
	By string `json:"by"` // "administrator" or "policy"
}

// off is all that is switched off.
func (g *Gateway) off() []switchedOff {
	list := []switchedOff{}
	for _, s := range g.switches.List() {
		list = append(list, switchedOff{s, "administrator"})
	}
	engine := g.current.Load().policies
	for _, kind := range policies.SwitchKinds() {
		stated := engine.Switched(kind)
		for _, name := range sortedKeys(stated) {
			list = append(list, switchedOff{state.Switch{Kind: kind, Name: name, Reason: stated[name]}, "policy"})
		}
	}
	return list
}

func plainText(s string, most int) bool {
	return s != "" && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7F || r == '\uFFFD' })
}

// badSwitch tells the admin listener that an error is the asker's.
func badSwitch(err error) bool {
	var e errSwitch
	return errors.As(err, &e)
}
