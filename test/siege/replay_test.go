package siege

import (
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/cipher/aead2022"
	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/test/peer"
)

// TestReplayAfterFlood: bob, who has a key, begins three times as many UDP sessions as the
// server remembers. A datagram of alice that was recorded before that is not relayed again,
// and alice is served on.
func TestReplayAfterFlood(t *testing.T) {
	t.Parallel()
	const remembered = 256
	keys := [3][]byte{[]byte("identity of door"), []byte("alice's 16 bytes"), []byte("bob's 16 byte ke")}
	encoded := func(k []byte) string { return base64.StdEncoding.EncodeToString(k) }
	port := peer.FreePort(t)
	umbra := peer.Start(t, []string{asUmbra + "=1", "GORACE=atexit_sleep_ms=0"}, self(t), "run", write(t, "umbra.toml", fmt.Sprintf(`
[pipeline.server]
chain = ["inbound.ss", "outbound.direct"]
[inbound.ss]
listen = %q
cipher = "door"
mode = "both"
[cipher.door]
kind = "2022-blake3-aes-128-gcm"
password = %q
users = { alice = %q, bob = %q }
remembered_sessions = %d
[outbound.direct]
allow = ["127.0.0.1"]
`, peer.Addr(port), encoded(keys[0]), encoded(keys[1]), encoded(keys[2]), remembered)))
	umbra.WaitListen(t, port)

	target := listenUDP(t)
	to, err := core.ParseAddr(target.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("udp", peer.Addr(port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// session returns a function that seals datagrams of a new session of a user.
	session := func(user []byte) func(text string) []byte {
		c, err := aead2022.New(aead2022.Specs()[0], aead2022.Keys{PSKs: [][]byte{keys[0], user}}, aead2022.NewSalts())
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.NewPacketClient()
		if err != nil {
			t.Fatal(err)
		}
		return func(text string) []byte {
			b, err := p.AppendPacket(nil, []byte(text), to)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	send := func(wire []byte) {
		if _, err := conn.Write(wire); err != nil {
			t.Fatal(err)
		}
	}
	recordings := 0
	// until sends datagrams of alice until one arrives, so all that was sent before was
	// served.
	alice := session(keys[1])
	until := func(text string) {
		t.Helper()
		for end := time.Now().Add(patience); time.Now().Before(end); {
			send(alice(text))
			for buf := make([]byte, 100); ; {
				_ = target.SetReadDeadline(time.Now().Add(time.Second))
				n, err := target.Read(buf)
				if err != nil {
					break
				}
				if string(buf[:n]) == "recorded" {
					recordings++
				}
				if string(buf[:n]) == text {
					return
				}
			}
		}
		t.Fatalf("%q of alice did not arrive", text)
	}
	recorded := session(keys[1])("recorded")
	send(recorded)
	until("begin")
	if recordings != 1 {
		t.Fatalf("got alice's datagram %d times, want it once", recordings)
	}
	for i := range 3 * remembered {
		send(session(keys[2])("bob's"))
		if i%16 == 0 {
			until(fmt.Sprint("among those of bob: ", i))
		}
	}
	until("after bob")
	send(recorded)
	until("after the replay")
	if recordings != 1 {
		t.Errorf("alice's recorded datagram was relayed %d times, want once", recordings)
	}
	if !strings.Contains(umbra.Output(), "UDP sessions refused") || !strings.Contains(umbra.Output(), "user=bob") {
		t.Errorf("the log does not say that bob's sessions are refused:\n%s", umbra.Output())
	}
}

// listenUDP returns a loopback socket.
func listenUDP(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
