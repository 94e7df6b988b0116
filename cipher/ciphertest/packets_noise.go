package ciphertest

import (
	"bytes"
	"testing"

	"github.com/umbra-proxy/umbra/core"
)

// cut truncates a datagram without a payload at each byte, in both directions.
func (k packetKit) cut(t *testing.T) {
	c, s := k.client(t), k.server(t)
	wire := sealed(t, c, nil, target(t))
	o := opened(t, s, sealed(t, c, []byte("x"), target(t)))
	reply := sealed(t, o.Session, nil, target(t))
	for n := range wire {
		notOpened(t, s, wire[:n])
	}
	for n := range reply {
		if _, _, err := c.OpenPacket(bytes.Clone(reply[:n])); err == nil {
			t.Errorf("%d bytes of a reply of %d were opened", n, len(reply))
		}
	}
	opened(t, s, wire)
}

// noise is random for a method that accepts some noise as datagrams.
func (k packetKit) noise(t *testing.T) {
	noise := noises(t)
	c, s := k.client(t), k.server(t)
	for n := range 1500 {
		noise := noise(n)
		o, err := s.Open(bytes.Clone(noise), someone)
		switch {
		case err == nil && (!o.Target.IsValid() || o.Target.Port() == 0):
			t.Errorf("%d bytes of noise were opened, target %s", n, o.Target)
		case err != nil && (o.Session != nil || o.Target.IsValid() || o.Payload != nil):
			t.Errorf("refused with %v: got %+v with the error, want nothing", err, o)
		case core.IsAuthenticated(err):
			t.Errorf("%d bytes of noise count as authenticated: %v", n, err)
		}
		if _, source, err := c.OpenPacket(noise); err == nil && !source.IsValid() {
			t.Errorf("%d bytes of noise were opened as a reply without a source", n)
		}
	}
}

// saltOfRefused is saltOfForgery for a method that does not authenticate: a refused datagram must
// not make the server refuse the request itself.
func (k packetKit) saltOfRefused(t *testing.T) {
	wire := sealed(t, k.client(t), nil, target(t))
	refused := 0
	for i := range wire {
		s, forged := k.server(t), bytes.Clone(wire)
		for j := i; j < len(forged); j++ {
			forged[j] ^= 0xFF
		}
		if _, err := s.Open(forged, someone); err == nil {
			continue
		}
		refused++
		opened(t, s, wire)
	}
	if refused == 0 {
		t.Error("no noise after the beginning of a datagram was refused")
	}
}
