//go:build linux

package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"golang.org/x/sys/unix"
)

// patience is the maximum duration of verify: a program may accept TCP before it has bound
// its UDP socket.
const patience = 2 * time.Second

// flow is a client with its own UDP association, in a closed loop. A datagram is
//
//	+-----+------+--------+----------+--------+
//	| RSV | FRAG | target | sequence | random |
//	| 2B  | 1B   | 7B     | 8B be    | rest   |
//	+-----+------+--------+----------+--------+
//
// and its echo is the same bytes. See RFC 1928 §7.
type flow struct {
	control  net.Conn // closing it ends the association
	fd       int      // non-blocking, connected to the relay
	header   int      // bytes before the payload
	payload  int      // size of sequence and random
	window   int      // maximum number of datagrams in flight
	out, in  *batch
	last     uint64 // sequence number
	due      map[uint64]struct{}
	lastEcho time.Time // time of the last echo, or of the last expiry
}

// newFlow requests an association from a SOCKS5 proxy and sends no datagram. The target is an
// IPv4 address. The caller closes the flow.
func newFlow(proxy string, target core.Addr, window, payload int) (*flow, error) {
	control, relay, err := ask(proxy, cmdAssociate, core.AddrFrom(netip.AddrPortFrom(netip.IPv4Unspecified(), 0)))
	if err != nil {
		return nil, err
	}
	if relay.Addr().IsUnspecified() {
		relay = netip.AddrPortFrom(netip.MustParseAddr(host), relay.Port())
	}
	// Not a net.UDPConn: the runtime would poll it too, at a cost per datagram.
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		control.Close()
		return nil, err
	}
	f := &flow{
		control: control, fd: fd, payload: payload, window: window,
		out: newBatch(window), in: newBatch(window),
		due: make(map[uint64]struct{}, window),
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(relay.Port()), Addr: relay.Addr().As4()}); err != nil {
		f.close()
		return nil, err
	}
	header := socksaddr.Append([]byte{0, 0, 0}, target)
	f.header = len(header)
	for i := range window {
		f.out.resize(i, f.header+payload)
		d := f.out.datagram(i)
		copy(d, header)
		_, _ = rand.Read(d[f.header:]) // never fails
	}
	return f, nil
}

func (f *flow) close() {
	unix.Close(f.fd)
	f.control.Close()
}

// fill sends until the window is full or the kernel accepts no more.
func (f *flow) fill() error {
	n := f.window - len(f.due)
	for i := range n {
		binary.BigEndian.PutUint64(f.out.datagram(i)[f.header:], f.last+1+uint64(i))
	}
	for sent := 0; sent < n; {
		m, err := f.out.send(uintptr(f.fd), sent, n)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return err
		}
		for range m {
			f.last++
			f.due[f.last] = struct{}{}
		}
		sent += m
	}
	return nil
}

// receive returns the number of expected echoes that have arrived. It does not block.
func (f *flow) receive() (int, error) {
	n, err := f.in.receive(uintptr(f.fd))
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		return 0, err
	}
	due := len(f.due)
	for i := range n {
		if d := f.in.datagram(i); len(d) == f.header+f.payload {
			delete(f.due, binary.BigEndian.Uint64(d[f.header:]))
		}
	}
	return due - len(f.due), nil
}

// verify sends one datagram repeatedly for up to patience, and returns an error unless it
// comes back unchanged.
func verify(proxy string, target core.Addr, payload int) error {
	f, err := newFlow(proxy, target, 1, payload)
	if err != nil {
		return err
	}
	defer f.close()
	err = errors.New("no echo")
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if _, err = f.out.send(uintptr(f.fd), 0, 1); err != nil {
			continue
		}
		ready := []unix.PollFd{{Fd: int32(f.fd), Events: unix.POLLIN}}
		if _, err = unix.Poll(ready, int(silence.Milliseconds())); err != nil {
			continue
		}
		var n int
		if n, err = f.in.receive(uintptr(f.fd)); n == 0 {
			continue
		}
		if !bytes.Equal(f.in.datagram(0), f.out.datagram(0)) {
			return errors.New("an echo differs from what was sent")
		}
		return nil
	}
	return err
}
