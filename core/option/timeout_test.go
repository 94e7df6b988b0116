package option_test

import (
	"math"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core/option"
)

func TestTimeout(t *testing.T) {
	for _, tc := range []struct {
		text, again string
		want        time.Duration
		err         string
	}{
		{"5m", "5m", 5 * time.Minute, ""},
		{"24h", "24h", 24 * time.Hour, ""},
		{"off", "off", math.MaxInt64, ""},
		{"never", "", 0, `"never" is not a duration; write it as "30s" or "5m", or "off"`},
		{"-1s", "", 0, `"-1s" is negative`},
	} {
		t.Run(tc.text, func(t *testing.T) {
			var o option.Timeout
			err := o.UnmarshalText([]byte(tc.text))
			if tc.err != "" {
				if err == nil || err.Error() != tc.err {
					t.Fatalf("got %v, want %s", err, tc.err)
				}
				return
			}
			if err != nil || o.Std() != tc.want || o.String() != tc.again {
				t.Errorf("got %v, %s, %v, want %v, %s", o.Std(), o, err, tc.want, tc.again)
			}
		})
	}
}
