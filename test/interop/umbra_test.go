// Package interop tests umbra with an independent implementation of the 2022 methods, in both roles, and of
// those from before AEAD. It is a separate module, so that the other implementation is not a dependency of
// umbra.
package interop

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/plugins"
)

// patience is the timeout of every wait.
const patience = 20 * time.Second

// pattern returns n bytes that differ from position to position.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i) ^ byte(i>>8)*31 ^ byte(i>>16)*17
	}
	return b
}

// psk returns a key of n bytes that depends on mark.
func psk(n int, mark byte) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(mark), n)))
}

// runUmbra runs a file in this process until the test ends.
func runUmbra(t *testing.T, file string) {
	t.Helper()
	var reg core.Registry
	plugins.Standard(&reg)
	f, err := config.Parse("umbra.toml", []byte(file), &reg)
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(&reg, slog.New(slog.DiscardHandler))
	if err := e.Start(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		if err := e.Shutdown(ended); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
}

// freePort returns a port of 127.0.0.1 that is free for TCP and UDP.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		u, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port))
		l.Close()
		if err == nil {
			u.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// umbraServer runs a server and returns its address. table is the rest of its [cipher.house] table.
func umbraServer(t *testing.T, method, table string) string {
	t.Helper()
	at := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	runUmbra(t, fmt.Sprintf(`
[pipeline.server]
chain = ["inbound.ss", "outbound.direct"]
[inbound.ss]
listen = %q
cipher = "house"
[outbound.direct]
allow = ["127.0.0.0/8"]
[cipher.house]
kind = %q
%s`, at, method, table))
	return at
}

// umbraLocal runs a SOCKS5 side with a hop through a server, and returns its address. table is the rest of
// its [cipher.house] table.
func umbraLocal(t *testing.T, method, table, server string) string {
	t.Helper()
	at := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	runUmbra(t, fmt.Sprintf(`
[pipeline.local]
chain = ["inbound.socks5", "outbound.ss"]
[inbound.socks5]
listen = %q
[outbound.ss]
server = %q
cipher = "house"
[cipher.house]
kind = %q
%s`, at, server, method, table))
	return at
}

// echoServers runs a TCP and a UDP echo server on one address, and returns the address.
func echoServers(t *testing.T) string {
	t.Helper()
	at := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	u, err := net.ListenPacket("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); u.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c) // the client detects missing bytes
			}()
		}
	}()
	go func() {
		b := make([]byte, core.MaxDatagram)
		for {
			n, from, err := u.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = u.WriteTo(b[:n], from)
		}
	}()
	return at
}
