package direct

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
)

// withHeaders returns the outbound with PROXY headers of a version.
func withHeaders(t testing.TB, version int) core.Dialer {
	t.Helper()
	out, err := New(core.Env{Process: new(core.Process)}, Options{
		Allow: []option.Prefix{{Prefix: netip.MustParsePrefix("127.0.0.0/8")}}, ProxyProtocol: version,
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := out.Over(dial.Net{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestHeader(t *testing.T) {
	for _, tc := range []struct {
		name, client, to string
		unattributed     bool
		line, binary     string // binary is hex behind the signature
	}{
		{"IPv4", "192.0.2.1:50000", "198.51.100.7:443", false,
			"PROXY TCP4 192.0.2.1 198.51.100.7 50000 443\r\n", "2111000cc0000201c6336407c35001bb"},
		{"IPv6", "[2001:db8::1]:50000", "[2001:db8::2]:443", false,
			"PROXY TCP6 2001:db8::1 2001:db8::2 50000 443\r\n",
			"2121002420010db800000000000000000000000120010db8000000000000000000000002c35001bb"},
		{"IPv4 to IPv6", "192.0.2.1:1", "[2001:db8::2]:2", false,
			"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n",
			"2121002400000000000000000000ffffc000020120010db800000000000000000000000200010002"},
		{"IPv6 to IPv4", "[fe80::1%eth0]:1", "192.0.2.1:2", false,
			"PROXY TCP6 fe80::1 ::ffff:192.0.2.1 1 2\r\n",
			"21210024fe80000000000000000000000000000100000000000000000000ffffc000020100010002"},
		{"no client known", "192.0.2.1:50000", "198.51.100.7:443", true, "PROXY UNKNOWN\r\n", "20000000"},
		{"no client", "", "198.51.100.7:443", false, "PROXY UNKNOWN\r\n", "20000000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &core.Request{Client: core.Client{Unattributed: tc.unattributed}}
			if tc.client != "" {
				r.Client.Addr = netip.MustParseAddrPort(tc.client)
			}
			to := netip.MustParseAddrPort(tc.to)
			if got := string(headerLine(r, to)); got != tc.line {
				t.Errorf("version 1: got %q, want %q", got, tc.line)
			}
			got, ok := bytes.CutPrefix(binaryHeader(r, to), proxyproto.SIGV2)
			if hex.EncodeToString(got) != tc.binary || !ok {
				t.Errorf("version 2: got %x, signature %t, want %s", got, ok, tc.binary)
			}
			for _, header := range [][]byte{headerLine(r, to), binaryHeader(r, to)} {
				h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(header)))
				if err != nil {
					t.Fatalf("%q: %v", header, err)
				}
				if known := tc.line != "PROXY UNKNOWN\r\n"; h.Command.IsProxy() != known {
					t.Errorf("%q: got proxied %t, want %t", header, h.Command.IsProxy(), known)
				} else if known {
					source := h.SourceAddr.(*net.TCPAddr).AddrPort()
					want := netip.AddrPortFrom(r.Client.Addr.Addr().WithZone(""), r.Client.Addr.Port())
					if got := netip.AddrPortFrom(source.Addr().Unmap(), source.Port()); got != want {
						t.Errorf("%q: got source %v, want %v", header, got, want)
					}
				}
			}
		})
	}
}

// Header and payload leave in one write, and a header alone at once.
func TestHeaderSent(t *testing.T) {
	client := netip.MustParseAddrPort("192.0.2.1:50000")
	for _, version := range []int{1, 2} {
		for _, payload := range []string{"", "payload"} {
			t.Run(fmt.Sprintf("version %d, %q", version, payload), func(t *testing.T) {
				l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				at := l.Addr().(*net.TCPAddr).AddrPort()
				d := withHeaders(t, version)
				r := &core.Request{Client: core.Client{Addr: client}, Target: core.AddrFrom(at), Payload: []byte(payload)}
				if got := d.PayloadWait(r); got != 0 {
					t.Errorf("wait: got %s, want 0", got)
				}
				s, err := d.DialStream(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if netio.Bare(s) == nil {
					t.Errorf("stream: got a %T, want a bare connection", s)
				}
				c, err := l.AcceptTCP()
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				want := string(headerLine(r, at))
				if version == 2 {
					want = string(binaryHeader(r, at))
				}
				got := make([]byte, 1000) // one write on loopback is one read
				if n, err := c.Read(got); string(got[:n]) != want+payload || err != nil {
					t.Errorf("got %q, %v in the first segment, want %q", got[:n], err, want+payload)
				}
				if string(r.Payload) != payload {
					t.Errorf("the request's payload became %q", r.Payload)
				}
				if err := s.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if rest, err := io.ReadAll(c); len(rest) != 0 || err != nil {
					t.Errorf("got %q, %v behind it, want nothing", rest, err)
				}
			})
		}
	}
}

// Datagrams have no place for a header, so they don't leave without one.
func TestHeaderNoPackets(t *testing.T) {
	d := withHeaders(t, 2)
	if err := d.CheckPackets(); !errors.Is(err, core.ErrNoPackets) || !strings.Contains(err.Error(), "proxy_protocol") {
		t.Errorf("check: got %v, want core.ErrNoPackets that names proxy_protocol", err)
	}
	if c, err := d.OpenPackets(t.Context(), &core.Request{Flow: new(core.Flow)}); c != nil || !errors.Is(err, core.ErrNoPackets) {
		t.Errorf("open: got %v, %v, want core.ErrNoPackets", c, err)
	}
}

func TestHeaderVersions(t *testing.T) {
	for _, version := range []int{-1, 3} {
		var option *core.OptionError
		out, err := New(core.Env{Process: new(core.Process)}, Options{ProxyProtocol: version})
		if out != nil || !errors.As(err, &option) || option.Key != "proxy_protocol" {
			t.Errorf("%d: got %v, %v, want an error for proxy_protocol", version, out, err)
		}
	}
}

// A refused target is refused as without headers.
func TestHeaderRefused(t *testing.T) {
	d := withHeaders(t, 2)
	free := coretest.FreeAddr(t)
	if s, err := d.DialStream(context.Background(), &core.Request{Target: core.AddrFrom(free), Payload: []byte("x")}); s != nil || err == nil {
		t.Errorf("got %v, %v, want an error", s, err)
	}
	denied(t, d, &core.Request{Target: core.NewIPAddr(netip.MustParseAddr("10.0.0.1"), 80)}, "is not a public address")
}
