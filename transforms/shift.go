package transforms

import "bytes"

// Dates that move with the patient. Whose they are is often known only at the end of a resource,
// which is held until then: so a date is written as it came, with a mark in the place of its opening
// quote, and moved in its place when the resource ends. Where that cannot be, it is cut out.

// unmoved stands in the place of a date's opening quote. No JSON has such a byte.
const unmoved = 0x01

// moved is by how many days the dates of the last patient moved.
type moved struct {
	known   bool
	patient string
	days    int
}

// movable writes a date that is to be moved at the end of the resource.
func (f *filter) movable(text []byte) (bool, error) {
	_, rest, ok := parseDate(text)
	if !ok || len(rest) > 0 && !isTime(rest) {
		return false, nil
	}
	if f.opt.Shift == nil {
		return false, f.failBy(ErrToken, errNoShifter)
	}
	f.out = append(append(append(f.out, unmoved), text...), '"')
	f.marked = true
	return true, nil
}

// whose returns the patient by whose days the dates of the resource at hand move: itself, or the
// only one whom the elements name that put it into a compartment.
func (f *filter) whose(r *row) (patient []byte, ok bool) {
	if r.kind == "Patient" {
		return f.res.id, f.res.identified
	}
	return f.res.patient, f.res.patients == 1
}

// names notes a patient in whose compartment the resource at hand is.
func (res *resource) names(patient []byte) {
	switch {
	case res.patients == 0:
		res.patient, res.patients = append(res.patient, patient...), 1
	case !bytes.Equal(res.patient, patient):
		res.patients = 2
	}
}

// shift moves the dates in out from a place on, and reports whether all could be.
func (f *filter) shift(r *row, from int) (bool, error) {
	patient, known := f.whose(r)
	days := 0
	if known {
		if m := &f.moved; !m.known || m.patient != string(patient) {
			m.patient = string(patient)
			var err error
			if m.days, err = f.opt.Shift.Shift(m.patient); err != nil {
				return false, f.failBy(ErrToken, err)
			}
			m.known = true
		}
		days = f.moved.days
	}
	all := true
	for rest := f.out[from:]; ; {
		at := bytes.IndexByte(rest, unmoved)
		if at < 0 {
			return all, nil
		}
		rest = rest[at:]
		end := bytes.IndexByte(rest, '"')
		if known && move(rest[1:end], days) {
			rest[0] = '"'
		} else {
			all = false
			f.tally.removed[r.root.index]++
		}
		rest = rest[end+1:]
	}
}
