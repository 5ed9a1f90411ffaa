package probe

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Result is what one check found.
type Result struct {
	Check
	OK       bool
	Skipped  string // why it was not made; it is neither right nor wrong then
	Evidence string
}

// MarshalJSON writes name, ok and evidence; ok is null where the check was not made.
func (r Result) MarshalJSON() ([]byte, error) {
	line := struct {
		Name     string `json:"name"`
		OK       *bool  `json:"ok"`
		Evidence string `json:"evidence"`
		Skipped  string `json:"skipped,omitempty"`
	}{r.Name, &r.OK, r.Evidence, r.Skipped}
	if r.Skipped != "" {
		line.OK = nil
	}
	return json.Marshal(line)
}

// failed says whether the check was made and found something wrong.
func (r Result) failed() bool { return !r.OK && r.Skipped == "" }

// Report is what a run found.
type Report struct {
	URL      string // what was graded
	Dataset  string // by what
	Canaries int    // how many were planted
	Results  []Result
	Notes    []string // what the reader must know to judge it
	Requests int
}

// Failed counts the checks that found something wrong, and how many of them show leaks.
func (r *Report) Failed() (all, leaks int) {
	for _, one := range r.Results {
		if one.failed() {
			all++
			if one.Leak() {
				leaks++
			}
		}
	}
	return all, leaks
}

// Grade is A where nothing failed; B for one or two failures and C for more, of which none
// shows a leak; D where there is one leak, and F where there are several.
func (r *Report) Grade() string {
	switch all, leaks := r.Failed(); {
	case leaks > 1:
		return "F"
	case leaks == 1:
		return "D"
	case all > 2:
		return "C"
	case all > 0:
		return "B"
	}
	return "A"
}

// groups are how the report is divided.
var groups = []struct{ prefix, title string }{
	{"leak/", "What must stay hidden"},
	{"refuse/", "What must be refused"},
	{"wire/", "HTTP itself"},
}

// WriteText writes the report for a person.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, judged by dataset %s", r.URL, r.Dataset)
	if r.Canaries > 0 {
		fmt.Fprintf(&b, ", with %d canaries in the EHR behind it", r.Canaries)
	}
	b.WriteString("\n\n")
	made := 0
	for _, g := range groups {
		titled := false
		for _, one := range r.Results {
			if !strings.HasPrefix(one.Name, g.prefix) {
				continue
			}
			if !titled {
				fmt.Fprintf(&b, "%s\n", g.title)
				titled = true
			}
			one.write(&b)
			if one.Skipped == "" {
				made++
			}
		}
		if titled {
			b.WriteByte('\n')
		}
	}
	all, leaks := r.Failed()
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "Note: %s\n", note)
	}
	fmt.Fprintf(&b, "Grade %s: %d of %d checks passed", r.Grade(), made-all, made)
	if all > 0 {
		fmt.Fprintf(&b, ", %d failed", all)
	}
	if leaks > 0 {
		fmt.Fprintf(&b, ", %d of them leaks", leaks)
	}
	if skipped := len(r.Results) - made; skipped > 0 {
		fmt.Fprintf(&b, "; %d could not be made", skipped)
	}
	fmt.Fprintf(&b, " (%d requests)\n", r.Requests)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r Result) write(b *strings.Builder) {
	switch {
	case r.Skipped != "":
		fmt.Fprintf(b, "  --    %-28s %s\n", r.Name, r.Skipped)
	case r.OK:
		fmt.Fprintf(b, "  ok    %-28s %s\n", r.Name, r.Evidence)
	default:
		fmt.Fprintf(b, "  FAIL  %-28s %s\n        tried: %s\n        to do: %s\n", r.Name, r.Evidence, r.Sentence, r.Advice)
	}
}

// WriteJSON writes one line for each check.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, one := range r.Results {
		if err := enc.Encode(one); err != nil {
			return err
		}
	}
	return nil
}

// WriteList writes a table of the checks: by what each attack is tried.
func WriteList(w io.Writer) error {
	var b strings.Builder
	width := 0
	for _, c := range Checks() {
		width = max(width, len(c.Name))
	}
	for _, c := range Checks() {
		fmt.Fprintf(&b, "%-*s  %s\n%*s  %s\n", width, c.Name, c.Attack, width, "", c.Sentence)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
