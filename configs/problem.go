package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	File string // as the caller named it; empty for a configuration made in Go
	Line int    // from 1; 0 where no line is to blame
	Path string // of the key, "ehrs[0].base_url"; empty for the document as a whole
	Text string // never a secret, nor anything written where a reference to a secret belongs
}

// String returns "file:line: path: text", less what is not known.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			b.WriteString(":" + strconv.Itoa(p.Line))
		}
		b.WriteString(": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Error is everything wrong with a configuration, in the order of its lines.
type Error struct{ Problems []Problem }

// Error returns the problems, one a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// A report collects problems. It knows where each key stands, and it keeps one mistake from being told twice: what is
// checked after a key was found wrong adds nothing about that key or what is below it.
type report struct {
	file     string
	lines    map[string]int
	wrong    map[string]bool
	problems []Problem
}

func newReport(file string) *report {
	return &report{file: file, lines: map[string]int{}, wrong: map[string]bool{}}
}

// add notes a problem of the key at path, at its own line or that of the nearest mapping around it.
func (r *report) add(path, format string, args ...any) {
	for p := path; p != ""; p = parent(p) {
		if r.wrong[p] {
			return
		}
	}
	line := 0
	for p := path; p != "" && line == 0; p = parent(p) {
		line = r.lines[p]
	}
	r.addAt(line, path, format, args...)
}

// addAt notes a problem at a line.
func (r *report) addAt(line int, path, format string, args ...any) {
	if path != "" {
		r.wrong[path] = true
	}
	text := strings.Map(oneLine, fmt.Sprintf(format, args...))
	r.problems = append(r.problems, Problem{File: r.file, Line: line, Path: path, Text: text})
}

// oneLine replaces what would break a message's line or steer a terminal, such as a file's name may hold.
func oneLine(c rune) rune {
	if unicode.IsPrint(c) {
		return c
	}
	return unicode.ReplacementChar
}

// err returns the problems in the order of their lines, those without a line last; nil where there are none.
func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		if (a.Line == 0) != (b.Line == 0) {
			return cmp.Compare(b.Line, a.Line)
		}
		return cmp.Compare(a.Line, b.Line)
	})
	return &Error{Problems: r.problems}
}

// parent returns the path of what holds the key: "ehrs[0].ca", "ehrs[0]", "ehrs", "".
func parent(path string) string {
	i := strings.LastIndexAny(path, ".[")
	if i < 0 {
		return ""
	}
	return path[:i]
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
