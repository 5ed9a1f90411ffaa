package transforms

// date is the calendar day of a FHIR date, dateTime or instant (datatypes.html#dateTime), with the
// precision that it was given: a year has month 0, a month has day 0.
type date struct{ year, month, day int }

// parseDate reads the date that s begins with, and returns what is behind it: nothing, or a time
// from its T on.
func parseDate(s []byte) (d date, rest []byte, ok bool) {
	if d.year, ok = number(s, 0, 4); !ok || d.year == 0 {
		return date{}, nil, false
	}
	if len(s) == 4 {
		return d, nil, true
	}
	if d.month, ok = number(s[4:], '-', 2); !ok || d.month < 1 || d.month > 12 {
		return date{}, nil, false
	}
	if len(s) == 7 {
		return d, nil, true
	}
	if d.day, ok = number(s[7:], '-', 2); !ok || d.day < 1 || d.day > d.length() {
		return date{}, nil, false
	}
	rest = s[10:]
	return d, rest, len(rest) == 0 || rest[0] == 'T'
}

// number reads a number of n digits, behind a separator where that is not 0.
func number(s []byte, separator byte, n int) (x int, ok bool) {
	if separator != 0 {
		if len(s) == 0 || s[0] != separator {
			return 0, false
		}
		s = s[1:]
	}
	if len(s) < n {
		return 0, false
	}
	for _, c := range s[:n] {
		if c < '0' || c > '9' {
			return 0, false
		}
		x = x*10 + int(c-'0')
	}
	return x, true
}

// length returns how many days the month has.
func (d date) length() int {
	switch d.month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if d.year%4 == 0 && (d.year%100 != 0 || d.year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// isTime reports whether s is a time with its zone, from its T on, as a dateTime has it.
func isTime(s []byte) bool {
	hour, ok := number(s, 'T', 2)
	if !ok || hour > 23 {
		return false
	}
	minute, ok := number(s[3:], ':', 2)
	if !ok || minute > 59 {
		return false
	}
	second, ok := number(s[6:], ':', 2)
	if !ok || second > 60 { // a leap second
		return false
	}
	if s = s[9:]; len(s) > 0 && s[0] == '.' {
		n := 1
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		if n == 1 || n > 10 {
			return false
		}
		s = s[n:]
	}
	if len(s) != len("+00:00") {
		return string(s) == "Z"
	}
	hour, ok = number(s[1:], 0, 2)
	minute, ok2 := number(s[3:], ':', 2)
	return ok && ok2 && (s[0] == '+' || s[0] == '-') && minute <= 59 && (hour < 14 || hour == 14 && minute == 0)
}

// maxDays is farther than any two dates are apart.
const maxDays = 10_000 * 366

// move moves the date that s is or begins with by whole days, in place: its length and precision
// stay. A month moves with its 15th day, a year with its 1st of July. It reports whether there is
// such a date.
func move(s []byte, days int) bool {
	d, _, ok := parseDate(s)
	if !ok || days > maxDays || days < -maxDays {
		return false
	}
	full := d
	switch {
	case d.month == 0:
		full.month, full.day = 7, 1
	case d.day == 0:
		full.day = 15
	}
	full = civil(full.count() + days)
	if full.year < 1 || full.year > 9999 {
		return false
	}
	put(s[:4], full.year)
	if d.month > 0 {
		put(s[5:7], full.month)
	}
	if d.day > 0 {
		put(s[8:10], full.day)
	}
	return true
}

func put(s []byte, x int) {
	for i := len(s) - 1; i >= 0; i-- {
		s[i] = byte('0' + x%10)
		x /= 10
	}
}

// The days of the Gregorian calendar are counted from the 1st of March of the year 0, so that a
// leap day is the last of its year: 365, 1461, 36524 and 146097 days are 1, 4, 100 and 400 years.

func (d date) count() int {
	year, month := d.year, d.month-3
	if month < 0 {
		year, month = year-1, month+12
	}
	return year*365 + year/4 - year/100 + year/400 + (153*month+2)/5 + d.day - 1
}

// civil returns the date of a count. A year before 0 comes back as 0.
func civil(n int) date {
	if n < 0 {
		return date{}
	}
	era := n / 146097
	n -= era * 146097
	year := (n - n/1460 + n/36524 - n/146096) / 365
	n -= year*365 + year/4 - year/100
	month := (5*n + 2) / 153
	d := date{era*400 + year, month + 3, n - (153*month+2)/5 + 1}
	if d.month > 12 {
		d.year, d.month = d.year+1, d.month-12
	}
	return d
}
