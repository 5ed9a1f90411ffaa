package policies

import (
	"encoding/json"
	"maps"
	"slices"
)

// Offer is what a bundle's data says that one desk may do. It is for the documents that tell what can be
// granted; only a decision grants anything.
type Offer struct {
	Dataset      string
	Interactions []string            // by FHIR's codes, on every type of the dataset
	Writes       map[string][]string // besides, by type
	Operations   map[string][]string // names without their $, by type
}

// StatedOffers are the offers that the bundle states, by desk: in data.halfdoor.interactions and data.halfdoor.desks, as the
// default bundle's rules read them. There are none where a bundle keeps its rules' data in other places or forms.
func (e *Engine) StatedOffers() []Offer { return slices.Clone(e.offers) }

// statedOffers reads them.
func statedOffers(s *source) []Offer {
	var stated struct {
		Interactions map[string]any `json:"interactions"`
		Desks        map[string]struct {
			Dataset    string                    `json:"dataset"`
			Writes     map[string]map[string]any `json:"writes"`
			Operations map[string]map[string]any `json:"operations"`
		} `json:"desks"`
	}
	doc, err := json.Marshal(s.data[datasetsPath[0]])
	if err != nil || json.Unmarshal(doc, &stated) != nil {
		return nil
	}
	var offers []Offer
	for _, name := range slices.Sorted(maps.Keys(stated.Desks)) {
		d := stated.Desks[name]
		offers = append(offers, Offer{
			Dataset: d.Dataset, Interactions: slices.Sorted(maps.Keys(stated.Interactions)),
			Writes: named(d.Writes), Operations: named(d.Operations),
		})
	}
	return offers
}

// named are the names in maps whose values say why.
func named(byType map[string]map[string]any) map[string][]string {
	names := map[string][]string{}
	for kind, of := range byType {
		names[kind] = slices.Sorted(maps.Keys(of))
	}
	return names
}
