package mixed

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/option"
	"github.com/umbra-proxy/umbra/core/socksaddr"
	"github.com/umbra-proxy/umbra/inbound"
	"github.com/umbra-proxy/umbra/inbound/httpproxy"
	"github.com/umbra-proxy/umbra/inbound/socks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options(at netip.AddrPort) Options {
	return Options{
		HeadOptions: httpproxy.HeadOptions{MaxHead: 4096},
		Options: socks.Options{Options: inbound.Options{
			Listen: option.ListenList{option.ListenOn(at)}, Mode: "both", MaxHandshakes: 64, ClientHandshakes: 64, MaxSessions: 8, ClientSessions: 8,
			HandshakeTimeout: option.Duration(time.Minute),
		}},
	}
}

// TestInbound has clients of each protocol.
func TestInbound(t *testing.T) {
	for name, request := range map[string]func(target core.Addr) (send string, answer int){
		"socks4": func(a core.Addr) (string, int) {
			ip := a.IP().As4()
			return "\x04\x01" + string([]byte{byte(a.Port() >> 8), byte(a.Port())}) + string(ip[:]) + "bob\x00", 8
		},
		"socks4a": func(a core.Addr) (string, int) {
			return "\x04\x01" + string([]byte{byte(a.Port() >> 8), byte(a.Port())}) + "\x00\x00\x00\x01\x00" + a.Host() + "\x00", 8
		},
		"socks5": func(a core.Addr) (string, int) {
			return "\x05\x01\x00" + string(socksaddr.Append([]byte{5, 1, 0}, a)), 2 + 10
		},
		"http": func(a core.Addr) (string, int) {
			return "CONNECT " + a.String() + " HTTP/1.1\r\nHost: " + a.String() + "\r\n\r\n", len("HTTP/1.1 200 Connection established\r\n\r\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			coretest.TestInbound(t, coretest.InboundKit{
				New: func(t testing.TB, env core.Env, at netip.AddrPort) core.Inbound {
					in, err := New(env, options(at))
					if err != nil {
						t.Fatal(err)
					}
					return in
				},
				Request: func(t testing.TB, conn *net.TCPConn, target core.Addr) func() (core.Stream, error) {
					send, answer := request(target)
					if _, err := io.WriteString(conn, send); err != nil {
						t.Fatal(err)
					}
					return func() (core.Stream, error) {
						b := make([]byte, answer)
						if _, err := io.ReadFull(conn, b); err != nil {
							return nil, err
						}
						var ok bool
						switch b[0] {
						case 0:
							ok = b[1] == 90
						case 5:
							ok = b[3] == 0
						case 'H':
							ok = string(b[9:12]) == "200"
						}
						if !ok {
							return nil, errors.New("refused")
						}
						return conn, nil
					}
				},
			})
		})
	}
}

func TestNew(t *testing.T) {
	for key, edit := range map[string]func(*Options){
		"mode":     func(o *Options) { o.Mode = "udp" },
		"users":    func(o *Options) { o.Users = map[string]option.Text{"a:b": "correct horse"} },
		"listen.0": func(o *Options) { o.Listen = option.ListenList{option.ListenOn(netip.MustParseAddrPort("0.0.0.0:1"))} },
	} {
		o := options(coretest.AnyPort)
		edit(&o)
		_, err := New(coretest.Env(t), o)
		if bad, ok := errors.AsType[*core.OptionError](err); !ok || bad.Key != key {
			t.Errorf("got %v, want an error for %s", err, key)
		}
	}
}
