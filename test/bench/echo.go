//go:build linux

package main

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// echo sends every datagram back to its source.
type echo struct {
	conn *net.UDPConn
	done chan struct{} // closed at the end of serve
}

// newEcho listens for UDP on an address. The caller closes the echo.
func newEcho(addr netip.AddrPort) (*echo, error) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, err
	}
	e := &echo{conn: conn, done: make(chan struct{})}
	go func() {
		defer close(e.done)
		serve(raw)
	}()
	return e, nil
}

// close ends the echo and waits for it.
func (e *echo) close() {
	e.conn.Close()
	<-e.done
}

// serve echoes until the socket is closed or fails. After a failure no more echoes arrive,
// which every test detects.
func serve(raw syscall.RawConn) {
	var (
		b     = newPeerBatch(64)
		n     int // received
		sent  int
		fault error
	)
	read := func(fd uintptr) bool {
		n, fault = b.receive(fd)
		return !errors.Is(fault, unix.EAGAIN)
	}
	write := func(fd uintptr) bool {
		var m int
		m, fault = b.send(fd, sent, n)
		sent += m
		return !errors.Is(fault, unix.EAGAIN)
	}
	for {
		if err := raw.Read(read); err != nil || fault != nil {
			return
		}
		for sent = 0; sent < n; {
			if err := raw.Write(write); err != nil || fault != nil {
				return
			}
		}
	}
}
