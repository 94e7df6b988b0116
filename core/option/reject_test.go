package option_test

import (
	"testing"

	"github.com/umbra-proxy/umbra/core/option"
)

func TestReject(t *testing.T) {
	for _, want := range []option.Reject{option.RejectDrain, option.RejectClose, option.RejectReset, option.RejectForward} {
		var r option.Reject
		if err := r.UnmarshalText([]byte(want)); err != nil || r != want {
			t.Errorf("%q: got %q, %v, want it", want, r, err)
		}
	}
	for _, text := range []string{"", "Drain", "drop"} {
		r := option.RejectReset
		if err := r.UnmarshalText([]byte(text)); err == nil || r != option.RejectReset {
			t.Errorf("%q: got %q, %v, want an error and no change", text, r, err)
		}
	}
}
