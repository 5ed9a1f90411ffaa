package vault

// Formed says whether a text has the form of a token of a resource's id. It says nothing of whose it is, or whether it was
// ever made: that takes [Sealer.Open].
func Formed(text string) bool {
	if len(text) < 3 || len(text) > maxToken || digitValue[text[1]] == noDigit {
		return false
	}
	var raw [maxToken]byte
	sealed, ok := appendDecoded(raw[:0], text[2:])
	switch {
	case !ok:
		return false
	case text[0] == 't':
		return len(sealed) > sivBytes
	}
	return text[0] == 'v' && len(sealed) == nameBytes
}
