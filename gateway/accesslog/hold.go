package accesslog

import (
	"errors"
	"fmt"
	"time"
)

// A Holder is somebody who still needs records: a sink that has not delivered them, a witness that is to be shown how the log
// has grown since.
type Holder struct {
	Name string // for people
	Next int64  // the first record that is needed
}

// Held is why retention leaves records: they are old enough, and wait for a [Holder].
type Held struct {
	Records int64  // that wait
	Holder  string // who needs the first of them
}

// Error tells it to an operator.
func (h *Held) Error() string {
	return fmt.Sprintf("%d records are older than the retention and wait for %s", h.Records, h.Holder)
}

// due is what retention finds in the closed segments.
type due struct {
	before  int       // segments before this one go
	last    time.Time // of the newest record that goes
	ignored []Holder  // who needed some of what goes
	held    *Held     // what stays for somebody
}

// due looks for what is old enough, and what of it somebody still needs. Who needs records holds them for so long and no
// longer, and not at all while the disk has little room: the log has to go on, and one peer that is gone must neither end
// that nor keep for ever what is to be removed.
func (l *Log) due(of layout, holders []Holder) (due, error) {
	d := due{before: of.first}
	limit := l.now().Add(-l.keep.retention)
	space := l.Space()
	next := int64(0)
	if of.base != nil {
		next = of.base.tree.size
	}
	for n := of.first; n <= int(l.keep.closed.Load()); n++ {
		seq, t, err := lastOf(l.dir, n)
		if err != nil {
			return due{}, err
		}
		if !t.Before(limit) {
			break
		}
		if d.held != nil {
			d.held.Records += seq + 1 - next
			next = seq + 1
			continue
		}
		var need []Holder
		for _, h := range holders {
			if h.Next <= seq {
				need = append(need, h)
			}
		}
		if len(need) > 0 && !space.Low && !space.Spent && !t.Before(limit.Add(-l.keep.hold)) {
			first := need[0]
			for _, h := range need {
				if h.Next < first.Next {
					first = h
				}
			}
			d.held = &Held{seq + 1 - next, first.Name}
			next = seq + 1
			continue
		}
		d.before, d.last, d.ignored, next = n+1, t, need, seq+1
	}
	return d, nil
}

// without says in words who had not got what is removed.
func (d *due) without() string {
	text := ""
	for _, h := range d.ignored {
		text += fmt.Sprintf("; %s had not got those from %d on", h.Name, h.Next)
	}
	return text
}

// lastOf is the number and the time of a closed segment's last record.
func lastOf(dir string, n int) (int64, time.Time, error) {
	f, err := openStored(dir, n)
	if err != nil {
		return 0, time.Time{}, err
	}
	defer f.Close()
	size, err := f.size()
	if err != nil {
		return 0, time.Time{}, err
	}
	line, err := lastLine(f, size)
	if err != nil {
		return 0, time.Time{}, err
	}
	_, seq, _, ok := parseSeal(line)
	if !ok {
		return 0, time.Time{}, fileDamage(segmentName(n), "its last line does not end as a record does")
	}
	t, err := timeOf(line)
	return seq, t, err
}

// Tidy has the upkeep look at the closed segments: when [Options.Holders] has another answer.
func (l *Log) Tidy() {
	select {
	case l.keep.tidy <- struct{}{}:
	default:
	}
}

// subject is what an error of the upkeep is about, so that an operator is told when that changes.
func subject(neglect error) string {
	var held *Held
	switch {
	case neglect == nil:
		return ""
	case errors.As(neglect, &held):
		return held.Holder
	}
	return "failed"
}
