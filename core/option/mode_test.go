package option_test

import (
	"testing"

	"github.com/umbra-proxy/umbra/core/option"
)

func TestMode(t *testing.T) {
	for _, tc := range []struct {
		text             string
		streams, packets bool
	}{
		{"tcp", true, false}, {"udp", false, true}, {"both", true, true},
	} {
		t.Run(tc.text, func(t *testing.T) {
			var m option.Mode
			if err := m.UnmarshalText([]byte(tc.text)); err != nil || string(m) != tc.text {
				t.Errorf("got %q, %v, want %s", m, err, tc.text)
			}
			if m.Streams() != tc.streams || m.Packets() != tc.packets {
				t.Errorf("serves: got TCP %t, UDP %t, want %t, %t", m.Streams(), m.Packets(), tc.streams, tc.packets)
			}
		})
	}
	if m := option.Mode(""); !m.Streams() || !m.Packets() {
		t.Error("nothing said: got not both")
	}
	for _, text := range []string{"", "TCP", "tcp ", "tcp_and_udp", "quic"} {
		t.Run("not "+text, func(t *testing.T) {
			m := option.Mode("tcp")
			want := `want one of tcp, udp, both, got "` + text + `"`
			if err := m.UnmarshalText([]byte(text)); err == nil || err.Error() != want || m != "tcp" {
				t.Errorf("got %q, %v, want tcp still, %s", m, err, want)
			}
		})
	}
}
