package websocket

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serverAddr is what the clients of the tests dialled.
const serverAddr = "ws.example:8080"

// defaults are the options of an empty table.
func defaults() Options { return Options{Path: "/", MaxHeader: 16 << 10} }

func newPlain(t testing.TB, o Options) *Transport {
	t.Helper()
	tr, err := newTransport(o)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// shake lets a client of one component meet a server of another over a wire.
func shake(t testing.TB, to, from *Transport, clientWire, serverWire core.Stream) (clientEnd, serverEnd core.Stream) {
	t.Helper()
	var serverErr, clientErr error
	coretest.Together(func() {
		if serverEnd, serverErr = to.Server(context.Background(), serverWire); serverErr != nil {
			serverWire.Close()
		}
	}, func() {
		if clientEnd, clientErr = from.Client(context.Background(), clientWire, coretest.Addr(t, serverAddr)); clientErr != nil {
			clientWire.Close()
		}
	})
	if serverErr != nil || clientErr != nil {
		t.Fatalf("handshake: server %v, client %v", serverErr, clientErr)
	}
	return clientEnd, serverEnd
}

// pairs are ways to make the two ends of a stream: over each kind of wire, and from either end.
func pairs() []coretest.Pair {
	var all []coretest.Pair
	for _, wire := range coretest.Pairs {
		all = append(all, coretest.Pair{Name: wire.Name + "/client", Make: func(t testing.TB) (a, b core.Stream) {
			a, b = wire.Make(t)
			tr := newPlain(t, defaults())
			return shake(t, tr, tr, a, b)
		}}, coretest.Pair{Name: wire.Name + "/server", Make: func(t testing.TB) (a, b core.Stream) {
			a, b = wire.Make(t)
			tr := newPlain(t, defaults())
			b, a = shake(t, tr, tr, b, a)
			return a, b
		}})
	}
	return append(all, coretest.Pair{Name: "websocket in websocket", Make: func(t testing.TB) (a, b core.Stream) {
		a, b = coretest.TCPPair(t)
		tr := newPlain(t, defaults())
		a, b = shake(t, tr, tr, a, b)
		return shake(t, tr, tr, a, b)
	}})
}

func TestStream(t *testing.T) {
	for _, p := range pairs() {
		t.Run(p.Name, func(t *testing.T) { coretest.TestStream(t, p.Make) })
	}
}

// established returns a client and a server over loopback.
func established(t testing.TB) (clientEnd, serverEnd core.Stream) {
	t.Helper()
	a, b := coretest.TCPPair(t)
	_ = b.SetDeadline(time.Now().Add(coretest.Patience))
	tr := newPlain(t, defaults())
	return shake(t, tr, tr, a, b)
}

// raw returns an end of a stream, after its handshake, whose peer is a bare connection, so
// that a test can send any frames and see those that come.
func raw(t testing.TB, r role) (s *stream, peer core.Stream) {
	t.Helper()
	a, b := coretest.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	for _, end := range []core.Stream{a, b} {
		_ = end.SetDeadline(time.Now().Add(coretest.Patience))
	}
	return newStream(a, a, r, nil), b
}
