package block_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/outbound/block"
)

func TestBlock(t *testing.T) {
	out, err := block.New(core.Env{}, block.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, wire := range map[string]core.Dialer{"first hop": dial.Net{}, "no wire": nil} {
		d, err := out.Over(wire)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		target, err := core.ParseAddr("ads.example:443")
		if err != nil {
			t.Fatal(err)
		}
		r := &core.Request{Target: target, Payload: []byte("x")}
		if s, err := d.DialStream(t.Context(), r); s != nil || !errors.Is(err, core.ErrDenied) || !strings.Contains(err.Error(), "ads.example:443") {
			t.Errorf("%s: got %v, %v, want core.ErrDenied with the target", name, s, err)
		}
		if c, err := d.OpenPackets(t.Context(), r); c != nil || !errors.Is(err, core.ErrDenied) {
			t.Errorf("%s: got %v, %v, want core.ErrDenied", name, c, err)
		}
		if wait := d.PayloadWait(r); wait != 0 {
			t.Errorf("%s: got a wait of %s, want none", name, wait)
		}
	}
}
