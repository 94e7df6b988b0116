package option_test

import (
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core/option"
)

func TestDuration(t *testing.T) {
	for _, tc := range []struct {
		text string
		want time.Duration
	}{
		{"0", 0},
		{"0s", 0},
		{"90s", 90 * time.Second},
		{"5m", 5 * time.Minute},
		{"1h30m", 90 * time.Minute},
		{"1.5s", 1500 * time.Millisecond},
	} {
		t.Run(tc.text, func(t *testing.T) {
			var d option.Duration
			if err := d.UnmarshalText([]byte(tc.text)); err != nil || d.Std() != tc.want {
				t.Errorf("got %v, %v, want %v", d, err, tc.want)
			}
			var again option.Duration
			if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d {
				t.Errorf("read again: got %v, %v, want %v", again, err, d)
			}
		})
	}
	for _, tc := range []struct{ text, want string }{
		{"", `"" is not a duration; write it as "30s" or "5m"`},
		{"30", `"30" is not a duration`},
		{"30 s", `"30 s" is not a duration`},
		{"1d", `"1d" is not a duration`},
		{"soon", `"soon" is not a duration`},
		{"9999999999h", `is not a duration`},
		{"-5s", `"-5s" is negative`},
	} {
		t.Run("not "+tc.text, func(t *testing.T) {
			d := option.Duration(time.Second)
			err := d.UnmarshalText([]byte(tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			if d.Std() != time.Second {
				t.Errorf("the error changed the value to %v", d)
			}
		})
	}
}
