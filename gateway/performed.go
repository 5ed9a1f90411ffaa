package gateway

import (
	"slices"

	"github.com/halfdoor/halfdoor/gateway/fhir"
)

// performed refuses what Parse understands and the rest of the path does not perform.
func performed(req *fhir.Request) error {
	switch req.Interaction {
	case fhir.Read, fhir.VRead, fhir.SearchType, fhir.Capabilities:
	default:
		return &fhir.Error{Kind: fhir.UnsupportedInteraction, Interaction: req.Interaction, Type: req.Type}
	}
	unsupported := func(name, modifier string) error {
		return &fhir.Error{Kind: fhir.NotSupported, Interaction: req.Interaction, Type: req.Type, Param: name, Modifier: modifier}
	}
	switch {
	case len(req.Includes) > 0:
		return unsupported(req.Includes[0].Name(), "")
	case len(req.Elements) > 0:
		return unsupported("_elements", "")
	case req.Summary != "":
		return unsupported("_summary", "")
	case req.Total != "":
		return unsupported("_total", "")
	}
	for _, p := range req.Params {
		if len(p.Links) > 0 || slices.Contains([]string{"not", "text", "of-type", "identifier", "above", "below"}, p.Modifier) {
			return unsupported(p.Name, p.Modifier)
		}
	}
	return nil
}
