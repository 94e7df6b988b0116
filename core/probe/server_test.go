package probe_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/cipher/aead2022"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/config"
	"github.com/umbra-proxy/umbra/core/engine"
	"github.com/umbra-proxy/umbra/core/probe"
	"github.com/umbra-proxy/umbra/plugins"
	"github.com/umbra-proxy/umbra/test/peer"
)

const (
	method     = "aes-256-gcm" // of newCipher
	method2022 = "2022-blake3-aes-256-gcm"
	psk        = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" // of newCipher2022
)

// newTarget starts a web server and returns its address.
func newTarget(t *testing.T) core.Addr {
	t.Helper()
	s := newScripted(t, func(conn *net.TCPConn, _ int) {
		limit(conn, 10*time.Second)
		_, _ = conn.Read(make([]byte, 4<<10))
		_, _ = conn.Write([]byte("HTTP/1.0 204 No Content\r\n\r\n"))
	})
	return parseAddr(t, s.addr)
}

func parseAddr(t *testing.T, text string) core.Addr {
	t.Helper()
	a, err := core.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// newCipher2022 returns a cipher of the 2022 edition.
func newCipher2022(t *testing.T) core.Cipher {
	t.Helper()
	secret, err := base64.StdEncoding.DecodeString(psk)
	if err != nil {
		t.Fatal(err)
	}
	specs := aead2022.Specs()
	i := slices.IndexFunc(specs, func(s aead2022.Spec) bool { return s.Method == method2022 })
	c, err := aead2022.New(specs[i], aead2022.Keys{PSKs: [][]byte{secret}}, aead2022.NewSalts())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newUmbra runs an umbra server, and returns its address.
func newUmbra(t *testing.T, kind, password string) string {
	t.Helper()
	addr := peer.Addr(peer.FreePort(t))
	file := fmt.Sprintf(`
[pipeline.server]
chain = ["inbound.ss", "outbound.direct"]
[inbound.ss]
listen = %q
cipher = "c"
handshake_timeout = "1s"
[cipher.c]
kind = %q
password = %q
[outbound.direct]
allow = ["127.0.0.0/8"]
`, addr, kind, password)
	reg := &core.Registry{}
	plugins.Standard(reg)
	f, err := config.Parse("server.toml", []byte(file), reg)
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(reg, slog.New(slog.DiscardHandler))
	if err := e.Start(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := e.Shutdown(ctx); err != nil {
			t.Errorf("shut down: %v", err)
		}
	})
	return addr
}

// TestOurServer runs all probes against an umbra server: there must be no finding.
func TestOurServer(t *testing.T) {
	for _, tc := range []struct {
		kind, password string
		cipher         core.Cipher
	}{
		{method, peer.Password, newCipher(t)},
		{method2022, psk, newCipher2022(t)},
	} {
		for _, keyed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/key %t", tc.kind, keyed), func(t *testing.T) {
				t.Parallel()
				cfg := fullConfig(newUmbra(t, tc.kind, tc.password))
				if keyed {
					cfg.Key = &probe.Key{Cipher: tc.cipher, Target: newTarget(t)}
				}
				plan, res, err := run(t, cfg)
				if err != nil {
					t.Fatal(err)
				}
				checkTells(t, res, nil, nil)
				if len(res.Records) != plan.Probes() {
					t.Errorf("got %d records, want %d", len(res.Records), plan.Probes())
				}
				for _, r := range res.Records {
					if r.End != probe.EndFIN {
						t.Errorf("%s of %d bytes: got %s, want FIN", r.Family, r.Size, r.End)
					}
				}
			})
		}
	}
}

// fullConfig includes all probes, with times for a machine under load.
func fullConfig(addr string) probe.Config {
	return probe.Config{
		Server: addr, Wait: 5 * time.Second, Parallel: 60, Pace: time.Millisecond, Tolerance: 700 * time.Millisecond,
	}
}

// TestLibev probes shadowsocks-libev, which never ends a connection and refuses replays.
func TestLibev(t *testing.T) {
	cfg := smallConfig(peer.Addr(peer.SSServer(t, method)), &probe.Key{Cipher: newCipher(t), Target: newTarget(t)})
	_, res, err := run(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	checkTells(t, res, nil, nil)
	for _, r := range res.Records {
		if r.Finish == probe.Open && r.End != probe.EndOpen {
			t.Errorf("%s of %d bytes: got %s, want it open", r.Family, r.Size, r.End)
		}
	}
}

// TestWrongKey uses a server with another key: no probe is made.
func TestWrongKey(t *testing.T) {
	addr := newUmbra(t, method, "another password of this test")
	_, _, err := run(t, smallConfig(addr, newKey(t)))
	if err == nil || !strings.Contains(err.Error(), "control: the server closed a valid request without an answer") {
		t.Errorf("got %v", err)
	}
}
