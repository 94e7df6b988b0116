package field

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/key"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"github.com/umbra-proxy/umbra/test/peer"
)

// A target resets during an upload: the client of a Shadowsocks server sees an incomplete
// stream and a FIN, and its wire shows no reset behind it, whatever it was still sending.
func TestResetDuringUpload(t *testing.T) {
	t.Parallel()
	port := peer.FreePort(t)
	run(t, fmt.Sprintf(`
[pipeline.p]
chain = ["inbound.ss", "outbound.direct"]
[inbound.ss]
listen = %q
cipher = "house"
[cipher.house]
kind = "aes-256-gcm"
password = %q
[outbound.direct]
allow = ["127.0.0.0/8"]
`, peer.Addr(port), peer.Password), port)
	target := serve(t, func(conn *net.TCPConn) {
		_, _ = io.CopyN(io.Discard, conn, 1<<20)
		_ = conn.SetLinger(0)
	})
	to, err := core.ParseAddr(target)
	if err != nil {
		t.Fatal(err)
	}
	spec := aead.Specs()[2]
	c, err := aead.New(spec, key.FromPassword(peer.Password, spec.KeySize), replay.NewSalts(16))
	if err != nil {
		t.Fatal(err)
	}
	var wire *net.TCPConn
	client, err := c.DialStream(to, []byte("ping"), func(flight []byte) (core.Stream, error) {
		conn, err := net.Dial("tcp", peer.Addr(port))
		if err != nil {
			return nil, err
		}
		wire = conn.(*net.TCPConn)
		_ = wire.SetDeadline(time.Now().Add(time.Minute))
		_, err = wire.Write(flight)
		return wire, err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	uploaded := make(chan error, 1)
	go func() {
		piece := make([]byte, 64<<10)
		for range 16 << 20 / len(piece) { // more than the queues hold
			if _, err := client.Write(piece); err != nil {
				uploaded <- err
				return
			}
		}
		uploaded <- nil
	}()
	if n, err := client.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, core.ErrShort) {
		t.Errorf("the client's read: got %d, %v, want an incomplete stream", n, err)
	}
	if err := <-uploaded; err != nil {
		t.Errorf("the client's write: got %v, want nil", err)
	}
	if netio.WasReset(wire) {
		t.Error("the client's wire was reset")
	}
}
