//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// The first byte that a client sends to a sink selects the load.
const (
	wantDownload = 'd' // endless bytes
	wantUpload   = 'u' // bytes are read and dropped
	wantEcho     = 'e' // bytes come back
)

// Commands of a client to a proxy. See RFC 1928 §4.
const (
	cmdConnect   = 1
	cmdAssociate = 3
)

// sink is the target of all load, over TCP and UDP.
type sink struct {
	ln   net.Listener
	echo *echo
	addr core.Addr // address of both
}

func newSink() (*sink, error) {
	ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	addr := netip.MustParseAddrPort(ln.Addr().String())
	echo, err := newEcho(addr)
	if err != nil {
		ln.Close()
		return nil, err
	}
	s := &sink{ln: ln, echo: echo, addr: core.AddrFrom(addr)}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go serveSink(c)
		}
	}()
	return s, nil
}

func (s *sink) close() {
	s.ln.Close()
	s.echo.close()
}

// serveSink serves the load that the first byte of a connection selects.
func serveSink(c net.Conn) {
	defer c.Close()
	var want [1]byte
	if _, err := io.ReadFull(c, want[:]); err != nil {
		return
	}
	switch want[0] {
	case wantDownload:
		for data := make([]byte, 256<<10); ; {
			if _, err := c.Write(data); err != nil {
				return
			}
		}
	case wantUpload:
		for buf := make([]byte, 256<<10); ; {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	case wantEcho:
		buf := make([]byte, 512)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
	}
}

// open connects to the sink through a SOCKS5 proxy.
func open(proxy string, target core.Addr) (net.Conn, error) {
	c, _, err := ask(proxy, cmdConnect, target)
	return c, err
}

// ask sends a command to a SOCKS5 proxy as a simple client does: each message after the answer
// to the previous one. It returns the connection and the address in the answer, which must be
// IPv4.
func ask(proxy string, command byte, target core.Addr) (net.Conn, netip.AddrPort, error) {
	c, err := net.Dial("tcp", proxy)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	var answer [10]byte
	for _, step := range []struct {
		message []byte
		answer  int
	}{{[]byte{5, 1, 0}, 2}, {socksaddr.Append([]byte{5, command, 0}, target), 10}} {
		if _, err := c.Write(step.message); err != nil {
			c.Close()
			return nil, netip.AddrPort{}, err
		}
		if _, err := io.ReadFull(c, answer[:step.answer]); err != nil {
			c.Close()
			return nil, netip.AddrPort{}, err
		}
		if answer[1] != 0 {
			c.Close()
			return nil, netip.AddrPort{}, fmt.Errorf("socks answer % x", answer[:step.answer])
		}
	}
	bound := netip.AddrFrom4([4]byte(answer[4:8]))
	return c, netip.AddrPortFrom(bound, binary.BigEndian.Uint16(answer[8:])), nil
}

// exchange sends 100 bytes to an echoing sink and reads them back.
func exchange(c net.Conn) error {
	var buf [100]byte
	buf[0] = wantEcho
	if _, err := c.Write(buf[:]); err != nil {
		return err
	}
	_, err := io.ReadFull(c, buf[1:])
	return err
}

// transfer moves bytes over n streams for a duration and returns their number.
func transfer(ctx context.Context, proxy string, s *sink, want byte, n int, d time.Duration) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var total atomic.Int64
	err := together(n, func() error {
		c, err := open(proxy, s.addr)
		if err != nil {
			return err
		}
		defer c.Close()
		defer context.AfterFunc(ctx, func() { c.Close() })()
		if _, err := c.Write([]byte{want}); err != nil {
			return err
		}
		buf := make([]byte, 256<<10)
		move := c.Read
		if want == wantUpload {
			move = c.Write
		}
		for {
			n, err := move(buf)
			total.Add(int64(n))
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
	return total.Load(), err
}

// connections opens, uses and closes connections in n workers for a duration, and returns
// their number.
func connections(ctx context.Context, proxy string, s *sink, n int, d time.Duration) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var total atomic.Int64
	err := together(n, func() error {
		for ctx.Err() == nil {
			c, err := open(proxy, s.addr)
			if err != nil {
				return err
			}
			err = exchange(c)
			c.Close()
			if err != nil {
				return err
			}
			total.Add(1)
		}
		return nil
	})
	return total.Load(), err
}

// together runs n copies of do and joins their errors.
func together(n int, do func() error) error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = do() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
