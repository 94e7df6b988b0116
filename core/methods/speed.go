package methods

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

const (
	benchBlock    = 64 << 10 // bytes per write
	benchStream   = 4 << 20  // bytes per stream in openSpeed
	benchDatagram = 1400     // bytes
)

// Speed is the result of measuring a method.
type Speed struct {
	Method     string
	Insecure   bool
	Seal, Open float64 // of a stream, in 10⁶ bytes a second
	Datagrams  float64 // sealed and opened per second; 0 without UDP
}

// Slower returns the slower one of the two speeds of a stream.
func (s Speed) Slower() float64 { return min(s.Seal, s.Open) }

// Measure measures a method with a new key. Each of its parts takes about each.
func Measure(kind core.Kind[core.Cipher], each time.Duration) (Speed, error) {
	c, err := buildCipher(kind)
	if err != nil {
		return Speed{}, err
	}
	s := Speed{Method: kind.Name, Insecure: IsInsecure(kind.Options)}
	if s.Seal, err = sealSpeed(c, each); err != nil {
		return Speed{}, fmt.Errorf("seal: %w", err)
	}
	if s.Open, err = openSpeed(c, each); err != nil {
		return Speed{}, fmt.Errorf("open: %w", err)
	}
	if pc, ok := c.(core.PacketCipher); ok {
		if s.Datagrams, err = datagramSpeed(pc, each); err != nil {
			return Speed{}, fmt.Errorf("datagrams: %w", err)
		}
	}
	return s, nil
}

// sealSpeed measures sealing, with a stream whose ciphertext is discarded.
func sealSpeed(c core.Cipher, each time.Duration) (float64, error) {
	s, err := dialTape(c, &tape{discard: true})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	block := make([]byte, benchBlock)
	total, began := int64(0), time.Now()
	for time.Since(began) < each {
		n, err := s.Write(block)
		if total += int64(n); err != nil {
			return 0, err
		}
	}
	return rate(total, time.Since(began)), nil
}

// openSpeed measures opening. Only the reading of the streams counts.
func openSpeed(c core.Cipher, each time.Duration) (float64, error) {
	block := make([]byte, benchBlock)
	total, took := int64(0), time.Duration(0)
	for took < each {
		wire := &tape{}
		s, err := dialTape(c, wire)
		if err != nil {
			return 0, err
		}
		for range benchStream / benchBlock {
			if _, err := s.Write(block); err != nil {
				return 0, err
			}
		}
		s.Close()
		began := time.Now()
		a, err := c.AcceptStream(wire, core.Caller{})
		if err != nil {
			return 0, err
		}
		n, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{a.Stream}, block)
		took += time.Since(began)
		a.Stream.Close()
		if err != nil {
			return 0, err
		}
		total += n
	}
	return rate(total, took), nil
}

// datagramSpeed seals datagrams as a client and opens them as a server.
func datagramSpeed(c core.PacketCipher, each time.Duration) (float64, error) {
	client, err := c.NewPacketClient()
	if err != nil {
		return 0, err
	}
	server, err := c.NewPacketServer()
	if err != nil {
		return 0, err
	}
	payload := make([]byte, benchDatagram)
	memory := make([]byte, 0, benchDatagram+client.Overhead(benchTarget))
	total, began := 0, time.Now()
	for time.Since(began) < each {
		wire, err := client.AppendPacket(memory, payload, benchTarget)
		if err != nil {
			return 0, err
		}
		if _, err := server.Open(wire, netip.AddrPort{}); err != nil {
			return 0, err
		}
		total++
	}
	return float64(total) / time.Since(began).Seconds(), nil
}

func rate(bytes int64, took time.Duration) float64 { return float64(bytes) / 1e6 / took.Seconds() }

func dialTape(c core.Cipher, wire *tape) (core.Stream, error) {
	return c.DialStream(benchTarget, nil, func(hello []byte) (core.Stream, error) {
		_, err := wire.Write(hello)
		return wire, err
	})
}

// tape is a connection in memory: bytes written to it can be read later, up to io.EOF.
type tape struct {
	net.Conn // nil: only the methods below are called
	discard  bool
	bytes    []byte
}

func (t *tape) Write(b []byte) (int, error) {
	if !t.discard {
		t.bytes = append(t.bytes, b...)
	}
	return len(b), nil
}

func (t *tape) Read(b []byte) (int, error) {
	if len(t.bytes) == 0 {
		return 0, io.EOF
	}
	n := copy(b, t.bytes)
	t.bytes = t.bytes[n:]
	return n, nil
}

func (t *tape) Close() error                     { return nil }
func (t *tape) CloseWrite() error                { return nil }
func (t *tape) SetDeadline(time.Time) error      { return nil }
func (t *tape) SetReadDeadline(time.Time) error  { return nil }
func (t *tape) SetWriteDeadline(time.Time) error { return nil }
