package dial_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/dial"
)

// TestNamesDroppedLogged checks that datagrams which the bound on names drops are logged
// once, however many they are, and that the bound is that of the process.
func TestNamesDroppedLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		bounds := new(dial.Names)
		bounds.Limit(dial.Bounds{Lookups: 256, Association: 4}, slog.New(slog.NewTextHandler(&out, nil)))
		names := &coretest.Resolver{Hold: make(chan struct{})}
		near, far := coretest.PacketPipe()
		c := dial.ResolvePackets(near.Conn, "resolver.x", names, &core.Request{Flow: new(core.Flow), User: "alice"}, bounds)
		defer far.Conn.Close()
		defer c.Close()
		kept := 0
		for i := range 10 {
			to, err := core.NewAddr(fmt.Sprintf("n%d.test", i), 53)
			if err != nil {
				t.Fatal(err)
			}
			n, err := c.WritePackets([]core.Packet{{Addr: to, Data: []byte("x")}})
			if err != nil {
				t.Fatal(err)
			}
			kept += n
		}
		if kept != 4 {
			t.Errorf("kept: got %d datagrams, want 4", kept)
		}
		if log := out.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "association_names") || !strings.Contains(log, "user=alice") {
			t.Errorf("got the log\n%s\nwant one line that names association_names and alice", log)
		}
	})
}
