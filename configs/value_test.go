package configs_test

import (
	"testing"
	"time"

	"github.com/halfdoor/halfdoor/configs"
)

func TestDuration(t *testing.T) {
	for _, tt := range []struct {
		in, text string
		want     time.Duration
		bad      bool
	}{
		{in: "30s", want: 30 * time.Second, text: "30s"},
		{in: "0s", want: 0, text: "0s"},
		{in: "90s", want: 90 * time.Second, text: "1m30s"},
		{in: "120s", want: 2 * time.Minute, text: "2m"},
		{in: "60m", want: time.Hour, text: "1h"},
		{in: "1h0m5s", want: time.Hour + 5*time.Second, text: "1h0m5s"},
		{in: "250ms", want: 250 * time.Millisecond, text: "250ms"},
		{in: "-1s", want: -time.Second, text: "-1s"},
		{in: "0", bad: true}, {in: "30", bad: true}, {in: "", bad: true}, {in: "1d", bad: true}, {in: "9999999h", bad: true}, {in: "+0", bad: true}, {in: " 1s", bad: true},
	} {
		var d configs.Duration
		err := d.UnmarshalText([]byte(tt.in))
		if (err != nil) != tt.bad || time.Duration(d) != tt.want {
			t.Errorf("%q: %v, %v", tt.in, time.Duration(d), err)
		}
		if text, err := d.MarshalText(); !tt.bad && (err != nil || string(text) != tt.text) {
			t.Errorf("%q: %s, %v", tt.in, text, err)
		}
	}
}

func TestBytes(t *testing.T) {
	for _, tt := range []struct {
		in, text string
		want     configs.Bytes
		bad      bool
	}{
		{in: "0", want: 0, text: "0B"},
		{in: "100", want: 100, text: "100B"},
		{in: "64KiB", want: 64 << 10, text: "64KiB"},
		{in: "65536B", want: 64 << 10, text: "64KiB"},
		{in: "1536MiB", want: 1536 << 20, text: "1536MiB"},
		{in: "2GiB", want: 2 << 30, text: "2GiB"},
		{in: "8589934591GiB", want: 8589934591 << 30, text: "8589934591GiB"},
		{in: "8589934592GiB", bad: true}, {in: "64KB", bad: true}, {in: "64 KiB", bad: true}, {in: "1.5MiB", bad: true}, {in: "-1", bad: true}, {in: "+1", bad: true},
		{in: "", bad: true}, {in: "KiB", bad: true}, {in: "64kib", bad: true}, {in: "1_000", bad: true}, {in: "9223372036854775808", bad: true},
	} {
		var b configs.Bytes
		err := b.UnmarshalText([]byte(tt.in))
		if (err != nil) != tt.bad || b != tt.want {
			t.Errorf("%q: %d, %v", tt.in, b, err)
		}
		if text, err := b.MarshalText(); !tt.bad && (err != nil || string(text) != tt.text) {
			t.Errorf("%q: %s, %v", tt.in, text, err)
		}
	}
}
