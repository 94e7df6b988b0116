package coretest

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// Eventually polls until ok returns true, and fails the test after Patience.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(Patience); !ok(); <-tick.C {
		if time.Now().After(until) {
			t.Fatalf("%s: not within %s", what, Patience)
		}
	}
}

// Lines is a writer that collects the lines of a log.
type Lines struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *Lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// With returns the lines that contain all parts.
func (l *Lines) With(parts ...string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
next:
	for line := range strings.Lines(l.text.String()) {
		for _, p := range parts {
			if !strings.Contains(line, p) {
				continue next
			}
		}
		found = append(found, line)
	}
	return found
}

// Refusing waits until connections to at are refused.
func Refusing(t testing.TB, at netip.AddrPort) {
	t.Helper()
	Eventually(t, "the end of listening", func() bool {
		c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(at))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}
