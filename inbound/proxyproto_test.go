package inbound_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/inbound"
)

// patience bounds what should happen at once.
const patience = 20 * time.Second

// behind are options of an inbound behind balancers at trusted.
func behind(t testing.TB, trusted ...string) inbound.Options {
	t.Helper()
	o := options(t, coretest.FreeAddr(t))
	o.Mode = "tcp"
	o.ProxyProtocol = &inbound.ProxyProtocol{Timeout: option.Duration(patience)}
	for _, s := range trusted {
		var p option.Prefix
		if err := p.UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
		o.ProxyProtocol.Trusted = append(o.ProxyProtocol.Trusted, p)
	}
	return o
}

// serve runs an inbound until the end of the test.
func serve(t *testing.T, env core.Env, o inbound.Options) *coretest.Handler {
	t.Helper()
	in, err := inbound.New(env, o, line{})
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := coretest.NewHandler()
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := in.Serve(context.Background(), h); err != nil {
			t.Errorf("serve: got %v, want nil", err)
		}
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := in.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		serving.Wait()
	})
	return h
}

// send connects to an inbound from 127.0.0.1 and sends b in one segment.
func send(t *testing.T, o inbound.Options, b []byte) *net.TCPConn {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(o.Listen[0].AddrPort()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	return c
}

// vectors are the headers of testdata/proxy_protocol.json.
func vectors(t *testing.T) (v struct {
	Valid, Invalid []struct {
		Name, Bytes string
		Source      *netip.AddrPort
	}
}) {
	t.Helper()
	text, err := os.ReadFile("testdata/proxy_protocol.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Header, request and payload in one segment: the client is whom the header names,
// no byte is lost, and the stream is the bare connection.
func TestProxyProtocol(t *testing.T) {
	o := behind(t, "127.0.0.0/8")
	h := serve(t, coretest.Env(t), o)
	for _, v := range vectors(t).Valid {
		t.Run(v.Name, func(t *testing.T) {
			c := send(t, o, append(unhex(t, v.Bytes), "example.com:80\npayload"...))
			want, unattributed := c.LocalAddr().(*net.TCPAddr).AddrPort(), v.Source == nil
			if v.Source != nil {
				want = *v.Source
			}
			next := h.Next(t)
			if r := next.Request; r.Client.Addr != want || r.Client.Unattributed != unattributed || r.Target.String() != "example.com:80" {
				t.Errorf("request: got %+v, want client %v, unattributed %t, example.com:80", r, want, unattributed)
			}
			near, err := next.Pending.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer near.Close()
			if netio.Bare(near) == nil {
				t.Errorf("stream: got a %T, want a bare connection", near)
			}
			got := make([]byte, len("payload"))
			if _, err := io.ReadFull(near, got); string(got) != "payload" || err != nil {
				t.Errorf("payload: got %q, %v", got, err)
			}
		})
	}
}

// A transport begins behind the header.
func TestProxyProtocolTransport(t *testing.T) {
	env := coretest.Env(t)
	env.Graph = coretest.Graph{core.Ref[core.Transport]("shout"): shout{"hey"}}
	o := behind(t, "127.0.0.1")
	o.Transport = []core.Ref[core.Transport]{"shout"}
	h := serve(t, env, o)
	send(t, o, []byte("PROXY TCP4 192.0.2.1 198.51.100.7 50000 443\r\nhey\nexample.com:80\n"))
	next := h.Next(t)
	defer next.Pending.Reject(core.ErrDenied)
	if got := next.Request.Client.Addr.String(); got != "192.0.2.1:50000" {
		t.Errorf("client: got %s, want 192.0.2.1:50000", got)
	}
}

// What is no header, or not all of one, ends with a FIN and is nobody's.
func TestProxyProtocolInvalid(t *testing.T) {
	o := behind(t, "127.0.0.1")
	o.ProxyProtocol.Timeout = option.Duration(100 * time.Millisecond)
	h := serve(t, coretest.Env(t), o)
	ends := map[string]*net.TCPConn{}
	v := vectors(t)
	for _, bad := range v.Invalid {
		ends[bad.Name] = send(t, o, unhex(t, bad.Bytes))
		ends[bad.Name+", with more"] = send(t, o, append(unhex(t, bad.Bytes), make([]byte, 3000)...))
	}
	for _, good := range v.Valid {
		b := unhex(t, good.Bytes)
		for n := range min(len(b), 60) {
			ends[fmt.Sprintf("%s, %d bytes", good.Name, n)] = send(t, o, b[:n])
		}
	}
	for name, c := range ends {
		if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("%s: got %d, %v, want io.EOF", name, n, err)
		}
	}
	if events, n := h.Events(), h.Waiting(); len(events) != 0 || n != 0 {
		t.Errorf("got events %v, %d requests, want none", events, n)
	}
}

// The header of a stranger is not read: its failure is that of its own address.
func TestProxyProtocolForged(t *testing.T) {
	o := behind(t, "10.0.0.0/8", "127.0.0.2", "::1")
	h := serve(t, coretest.Env(t), o)
	var want []string
	for _, v := range vectors(t).Valid {
		c := send(t, o, append(unhex(t, v.Bytes), "example.com:80\n"...))
		want = append(want, c.LocalAddr().String())
		_, _ = io.Copy(io.Discard, c)
		e := h.WaitEnds(t, len(want))[len(want)-1]
		if got := e.Client.Addr.String(); got != want[len(want)-1] || e.Kind != core.HandshakeFailed || !errors.Is(e.Err, core.ErrUntrusted) {
			t.Errorf("%s: got %v of %s, %v, want the failed handshake of %s", v.Name, e.Kind, got, e.Err, want[len(want)-1])
		}
	}
	if n := h.Waiting(); n != 0 {
		t.Errorf("requests: got %d, want none", n)
	}
}

// A second header is the client's own bytes.
func TestProxyProtocolTwice(t *testing.T) {
	o := behind(t, "127.0.0.1")
	h := serve(t, coretest.Env(t), o)
	send(t, o, []byte("PROXY TCP4 192.0.2.1 198.51.100.7 50000 443\r\nPROXY TCP4 192.0.2.2 198.51.100.7 50000 443\r\n\n"))
	if e := h.WaitEnds(t, 1)[0]; e.Client.Addr.String() != "192.0.2.1:50000" || errors.Is(e.Err, core.ErrUntrusted) {
		t.Errorf("event: got %+v, want a failed handshake of 192.0.2.1:50000", e)
	}
}
