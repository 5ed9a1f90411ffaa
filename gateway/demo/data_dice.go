package demo

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Reference is the sandbox's today. All its dates lie around it, so that what is
// past and what is to come does not change with the day on which it runs.
func Reference() time.Time {
	return time.Date(2026, time.June, 15, 12, 0, 0, 0, time.UTC)
}

// dice draws one subject's data. Every subject has its own, so that a patient
// stays the same however many there are.
type dice struct{ *rand.Rand }

func roll(seed uint64, kind string, number int) dice {
	var stream uint64
	for _, c := range kind {
		stream = stream*131 + uint64(c)
	}
	return dice{rand.New(rand.NewPCG(seed, stream<<24|uint64(number)))}
}

func draw[T any](d dice, list []T) T { return list[d.IntN(len(list))] }

// chance is true once in n.
func (d dice) chance(n int) bool { return d.IntN(n) == 0 }

// uuid is a version 4 UUID by its shape (RFC 9562), not by its randomness.
func (d dice) uuid() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], d.Uint64())
	binary.BigEndian.PutUint64(b[8:], d.Uint64())
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

func (d dice) hex(bytes int) string {
	b := make([]byte, bytes)
	for i := range b {
		b[i] = byte(d.Uint32())
	}
	return hex.EncodeToString(b)
}

func (d dice) digits(n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte(byte('0' + d.IntN(10)))
	}
	return b.String()
}

// day is a day between so many days from the reference, at a working hour.
func (d dice) day(from, to int) time.Time {
	day := Reference().Truncate(24*time.Hour).AddDate(0, 0, from+d.IntN(to-from+1))
	return day.Add(8*time.Hour + time.Duration(d.IntN(36))*15*time.Minute)
}

func (d dice) phone() string { return fmt.Sprintf("+1-%03d-555-01%02d", 200+d.IntN(700), d.IntN(100)) }

// instant and moment are FHIR's instant and dateTime, date its date.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// moment is written in the time zone of the sandbox's hospital, five hours
// behind UTC, as EHRs do.
func moment(t time.Time) string {
	return t.In(time.FixedZone("", -5*3600)).Format("2006-01-02T15:04:05-07:00")
}

func date(t time.Time) string { return t.Format(time.DateOnly) }

func period(start, end time.Time) object { return obj("start", moment(start), "end", moment(end)) }
