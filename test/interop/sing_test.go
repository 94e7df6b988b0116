package interop

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/sagernet/sing-shadowsocks/shadowaead_2022"
	"github.com/sagernet/sing/common/buf"
	"github.com/sagernet/sing/common/bufio"
	M "github.com/sagernet/sing/common/metadata"
	N "github.com/sagernet/sing/common/network"
)

// singService is a server of the other implementation.
type singService interface {
	NewConnection(ctx context.Context, conn net.Conn, metadata M.Metadata) error
	NewPacket(ctx context.Context, conn N.PacketConn, buffer *buf.Buffer, metadata M.Metadata) error
}

// singServer runs a server, with one user if userKey is not empty, and returns its
// address.
func singServer(t *testing.T, method, key, userKey string) string {
	t.Helper()
	service, err := newSingService(t, method, key, userKey)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, service)
}

// serve runs a server of the other implementation and returns its address.
func serve(t *testing.T, service singService) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := net.ListenPacket("udp", l.Addr().String())
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
				_ = service.NewConnection(context.Background(), c, M.Metadata{Source: M.SocksaddrFromNet(c.RemoteAddr())})
			}()
		}
	}()
	go servePackets(service, u.(*net.UDPConn))
	return l.Addr().String()
}

func newSingService(t *testing.T, method, key, userKey string) (singService, error) {
	if userKey == "" {
		return shadowaead_2022.NewServiceWithPassword(method, key, 60, singHandler{t}, nil)
	}
	s, err := shadowaead_2022.NewMultiServiceWithPassword[string](method, key, 60, singHandler{t}, nil)
	if err != nil {
		return nil, err
	}
	return s, s.UpdateUsersWithPasswords([]string{"alice"}, []string{userKey})
}

// servePackets passes the datagrams of a socket to a server until the socket is closed.
func servePackets(service singService, u *net.UDPConn) {
	conn := bufio.NewPacketConn(u)
	for {
		b := buf.NewPacket()
		n, from, err := u.ReadFromUDPAddrPort(b.FreeBytes())
		if err != nil {
			b.Release()
			return
		}
		b.Truncate(n)
		_ = service.NewPacket(context.Background(), conn, b, M.Metadata{Source: M.SocksaddrFromNetIP(from)})
	}
}

// singHandler relays the connections of a server of the other implementation.
type singHandler struct{ t *testing.T }

func (h singHandler) NewConnection(_ context.Context, conn net.Conn, metadata M.Metadata) error {
	target, err := net.Dial("tcp", metadata.Destination.String())
	if err != nil {
		return err
	}
	defer target.Close()
	go func() {
		_, _ = io.Copy(target, conn)
		_ = target.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(conn, target)
	return err
}

func (h singHandler) NewPacketConnection(_ context.Context, conn N.PacketConn, _ M.Metadata) error {
	target, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer target.Close()
	go func() {
		for {
			b := buf.NewPacket()
			b.Resize(512, 0) // room for headers
			n, from, err := target.ReadFrom(b.FreeBytes())
			if err != nil {
				b.Release()
				return
			}
			b.Truncate(n)
			if err := conn.WritePacket(b, M.SocksaddrFromNet(from)); err != nil {
				return
			}
		}
	}()
	for {
		b := buf.NewPacket()
		to, err := conn.ReadPacket(b)
		if err != nil {
			b.Release()
			return err
		}
		_, err = target.WriteTo(b.Bytes(), to.UDPAddr())
		b.Release()
		if err != nil {
			return err
		}
	}
}

// NewError receives the errors of failed connections.
func (h singHandler) NewError(_ context.Context, err error) {
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) {
		h.t.Logf("the other server: %v", err)
	}
}
