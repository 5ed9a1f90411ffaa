package transforms

import "strconv"

// Where elements were. Of a list some elements leave and some do not, and only the filter knows which:
// it depends on rows, conditions, and what a reference names. A write has to know, to lay what the client
// sends over the EHR's own. So the filter notes, for a write alone, before each element of a list that
// leaves where in the EHR's list it was: between two bytes that JSON has in texts only, counted from 1. A null that
// keeps a place has no note, and neither have lists in meta, which no client writes.

// placed stands before and behind a place.
const placed = '#'

// note notes the place of the element at hand.
func (f *filter) note() {
	f.out = append(strconv.AppendInt(append(f.out, placed), int64(f.steps[f.depth].index)+1, 10), placed)
}
