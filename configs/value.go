package configs

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time, written as Go writes it: "30s", "1m30s", "250ms". A number without a unit is refused.
type Duration time.Duration

// String returns the duration as the configuration has it, without units of which there are none: "2m", "1h".
func (d Duration) String() string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText returns the duration as the configuration has it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a duration with its unit.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return errors.New(`want a duration with its unit, like "30s" or "1m30s"`)
	}
	if v == 0 && !strings.ContainsAny(string(text), "smh") {
		return errors.New(`want a duration with its unit, like "0s"`)
	}
	*d = Duration(v)
	return nil
}

// Bytes is a size, written as a whole number of B, KiB, MiB or GiB: "64KiB". A number alone counts bytes.
type Bytes int64

var byteUnits = [...]struct {
	suffix string
	size   int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// String returns the size in the largest unit that divides it.
func (b Bytes) String() string {
	for _, u := range byteUnits {
		if b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.suffix
		}
	}
	return "0B"
}

// MarshalText returns the size as the configuration has it.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a size.
func (b *Bytes) UnmarshalText(text []byte) error {
	number, unit := string(text), int64(1)
	for _, u := range byteUnits {
		if head, ok := strings.CutSuffix(number, u.suffix); ok {
			number, unit = head, u.size
			break
		}
	}
	v, err := strconv.ParseUint(number, 10, 63)
	if err != nil || number[0] == '+' {
		return errors.New(`want a size in whole B, KiB, MiB or GiB, like "64KiB"`)
	}
	if v > uint64(math.MaxInt64/unit) {
		return fmt.Errorf("a size beyond %d bytes", int64(math.MaxInt64))
	}
	*b = Bytes(int64(v) * unit)
	return nil
}
