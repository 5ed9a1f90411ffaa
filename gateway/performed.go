package gateway

import "github.com/halfdoor/halfdoor/gateway/fhir"

// performed refuses what Parse understands and the rest of the path does not perform.
func performed(req *fhir.Request) error {
	is := req.Interaction
	if is == fhir.Read || is == fhir.VRead || is.Searches() || is.History() || is.Writes() || is == fhir.Capabilities || matches(req) {
		return nil
	}
	return &fhir.Error{Kind: fhir.UnsupportedInteraction, Interaction: is, Type: req.Type}
}
