package policies

import "strings"

// The forms of what leaves the policy for records, metrics and EHR. They also bound it. Each decision is held to them,
// so they are written out: an expression takes longer than many a rule.

// isCode holds a reason's code to lower-case words of letters and digits joined by hyphens, at most eight of them. The
// first begins with a letter.
func isCode(s string) bool {
	if len(s) == 0 || len(s) > maxCode || s[0] < 'a' {
		return false
	}
	words := 1
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case c == '-' && i+1 < len(s) && s[i+1] != '-':
			words++
		default:
			return false
		}
	}
	return words <= 8
}

// isPurpose holds a purpose of use to the form of a code; it may be empty.
func isPurpose(s string) bool {
	return len(s) <= 64 && only(s, "._-")
}

// isID is FHIR R4, section 2.24.0.1: id.
func isID(s string) bool {
	return 1 <= len(s) && len(s) <= 64 && only(s, ".-")
}

// isName is the form of the decision's members, those that this version does not know as well.
func isName(s string) bool {
	return 1 <= len(s) && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// only says whether a text is made of letters, digits and the others alone.
func only(s, others string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte(others, c) >= 0:
		default:
			return false
		}
	}
	return true
}
