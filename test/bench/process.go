//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of CPU time in /proc: 1/100 s on every Linux.
const tick = 10 * time.Millisecond

// pair is a running chain.
type pair struct {
	local, server *exec.Cmd
	socks         string        // address of the SOCKS5 side
	started       time.Duration // until both sides accepted connections
}

// start runs both sides of a chain on free ports.
func start(o options, c chain, dir string) (*pair, error) {
	socks, ss, err := freePorts()
	if err != nil {
		return nil, err
	}
	p := &pair{socks: net.JoinHostPort(host, strconv.Itoa(socks))}
	for _, side := range []struct {
		cmd  **exec.Cmd
		make func(options, string, int, int) (*exec.Cmd, error)
		port int
	}{{&p.server, c.server, ss}, {&p.local, c.local, socks}} {
		cmd, err := side.make(o, dir, socks, ss)
		if err != nil {
			p.stop()
			return nil, err
		}
		cmd.Stderr = os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		began := time.Now()
		if err := cmd.Start(); err != nil {
			p.stop()
			return nil, err
		}
		*side.cmd = cmd
		if err := waitAccept(net.JoinHostPort(host, strconv.Itoa(side.port))); err != nil {
			p.stop()
			return nil, err
		}
		p.started = max(p.started, time.Since(began))
	}
	return p, nil
}

// stop ends both sides.
func (p *pair) stop() {
	for _, cmd := range []*exec.Cmd{p.local, p.server} {
		if cmd != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // the process was killed on purpose
		}
	}
}

// cpu returns the CPU time that both sides have used, user and system.
func (p *pair) cpu() (time.Duration, error) {
	var sum time.Duration
	for _, cmd := range []*exec.Cmd{p.local, p.server} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		if err != nil {
			return 0, err
		}
		// The name in brackets may contain any character; utime and stime are the
		// 12th and 13th fields after it.
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		for _, f := range fields[11:13] {
			n, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return 0, err
			}
			sum += time.Duration(n) * tick
		}
	}
	return sum, nil
}

// resident returns the resident memory of the local side and of the server in
// KiB.
func (p *pair) resident() (local, server int, err error) {
	if local, err = resident(p.local); err == nil {
		server, err = resident(p.server)
	}
	return local, server, err
}

func resident(cmd *exec.Cmd) (int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			return strconv.Atoi(f[1])
		}
	}
	return 0, errors.New("no VmRSS in /proc")
}

// waitAccept waits until an address accepts connections.
func waitAccept(addr string) error {
	for end := time.Now().Add(10 * time.Second); ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(end) {
			return err
		}
	}
}

// freePorts returns two ports below the range of ephemeral ports.
func freePorts() (a, b int, err error) {
	var found []int
	for port := 12000 + int(time.Now().UnixNano()/1e6%15000); len(found) < 2 && port < 32000; port++ {
		if isFree(net.JoinHostPort(host, strconv.Itoa(port))) {
			found = append(found, port)
		}
	}
	if len(found) < 2 {
		return 0, 0, errors.New("no free ports")
	}
	return found[0], found[1], nil
}

// isFree reports whether a program could listen on an address, for TCP and UDP.
func isFree(addr string) bool {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	defer ln.Close()
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	pc.Close()
	return true
}
