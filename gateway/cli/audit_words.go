package cli

// Records have codes; an accounting of disclosures is read by the patient.

// purposes are codes of HL7 v3 PurposeOfUse in words, those that a helpdesk meets.
var purposes = map[string]string{
	"TREAT": "treatment", "ETREAT": "emergency treatment", "BTG": "emergency access", "CAREMGT": "care management", "COC": "coordination of care",
	"POPHLTH": "population health", "HPAYMT": "payment", "CLMATTCH": "a claim's attachment", "COVAUTH": "coverage authorization", "ELIGDTRM": "determining eligibility",
	"ELIGVER": "verifying eligibility", "ENROLLM": "enrollment", "REMITADV": "remittance advice", "HOPERAT": "healthcare operations",
	"PATADMIN": "patient administration", "PATSFTY": "patient safety", "QUALIMP": "quality improvement", "RECORDMGT": "records management", "TRAIN": "training",
	"HDIRECT": "a directory", "HSYSADMIN": "system administration", "HCOMPL": "compliance", "HACCRED": "accreditation", "PATRQT": "request of the patient",
	"FAMRQT": "request of the family", "PWATRNY": "power of attorney", "SUPNWK": "support network", "PUBHLTH": "public health", "DISASTER": "disaster",
	"THREAT": "threat", "HRESCH": "research", "HLEGAL": "legal", "HMARKT": "marketing", "FRAUD": "detection of fraud",
}

// purposeInWords is a purpose with its code.
func purposeInWords(code string) string {
	if words := purposes[code]; words != "" {
		return words + " (" + code + ")"
	}
	return code
}

// had says how what an interaction answers with was come by.
var had = map[string]string{
	"read": "read", "vread": "read, a former version", "search-type": "found by a search", "search-system": "found by a search", "search-compartment": "found by a search",
	"history-instance": "read with former versions", "history-type": "read with former versions", "history-system": "read with former versions",
	"create": "made anew and shown", "update": "changed and shown", "patch": "changed and shown",
}
