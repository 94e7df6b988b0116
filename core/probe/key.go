package probe

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/umbra-proxy/umbra/core"
)

// Key holds what valid requests are made with.
type Key struct {
	Cipher       core.Cipher
	Target       core.Addr // a host that answers HTTP
	PacketTarget core.Addr // a DNS server, if datagrams are sent
}

// request returns the payload of first flights: a request that the target answers.
func (k *Key) request() []byte {
	return fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", k.Target.Host())
}

// errNoDial ends a DialStream that is called for its first flight only.
var errNoDial = errors.New("not dialled")

// flight returns a new first flight.
func (k *Key) flight() ([]byte, error) {
	var flight []byte
	_, err := k.Cipher.DialStream(k.Target, k.request(), func(hello []byte) (core.Stream, error) {
		flight = bytes.Clone(hello)
		return nil, errNoDial
	})
	if !errors.Is(err, errNoDial) {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	return flight, nil
}

// packetClient returns a new client session for datagrams.
func (k *Key) packetClient() (core.PacketClient, error) {
	c, ok := k.Cipher.(core.PacketCipher)
	if !ok {
		return nil, fmt.Errorf("method %s does not support UDP", k.Cipher.Method())
	}
	return c.NewPacketClient()
}

// datagram returns a new sealed datagram in a new session.
func (k *Key) datagram() ([]byte, error) {
	client, err := k.packetClient()
	if err != nil {
		return nil, err
	}
	return client.AppendPacket(nil, dnsQuery(), k.PacketTarget)
}

// dnsQuery returns a query for the address of example.com (RFC 1035 §4.1).
func dnsQuery() []byte {
	query := append(noise(2), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0) // an ID, recursion desired, one question
	query = append(query, "\x07example\x03com\x00"...)
	return append(query, 0, 1, 0, 1) // A, IN
}

// noise returns n random bytes.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// changed returns a copy of b with the bytes at the indexes at changed.
func changed(b []byte, at []int) []byte {
	b = bytes.Clone(b)
	for _, i := range at {
		if i < len(b) {
			b[i] ^= 0x55
		}
	}
	return b
}

// material is the input from which the probes of one run are made.
type material struct {
	key      *Key
	recorded []byte // the first flight that was answered
	datagram []byte // the datagram that was answered, or nil
}

// bytesOf returns the bytes that p sends.
func (m *material) bytesOf(p Probe) ([]byte, error) {
	switch p.Family {
	case Opening:
		return p.bytes, nil
	case Replay:
		return m.recorded, nil
	case Altered:
		return changed(m.recorded, p.at), nil
	case DgReplay:
		return m.datagram, nil
	case DgDamaged:
		b, err := m.key.datagram()
		return changed(b, p.at), err
	case Damaged, Cut:
		b, err := m.key.flight()
		if err != nil {
			return nil, err
		}
		return changed(b, p.at)[:min(p.Size, len(b))], nil
	}
	return noise(p.Size), nil
}
