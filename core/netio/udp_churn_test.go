//go:build unix

package netio_test

import (
	"math/rand/v2"
	"testing"

	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
	"go.uber.org/goleak"
)

// Sockets that come and go at random get what is theirs, and nothing is left of
// them: no goroutine, no descriptor.
func TestUDPSocketChurn(t *testing.T) {
	const sockets, steps = 300, 3000
	leak := goleak.IgnoreCurrent()
	files := coretest.Descriptors()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))

	out, err := netio.OpenUDP()
	if err != nil {
		t.Fatal(err)
	}
	var live []*netio.UDPSocket
	came := make(chan string, 8)
	for step := range steps {
		if len(live) < sockets && (len(live) == 0 || step < sockets || r.IntN(2) == 0) {
			s := coretest.ListenUDP(t, "127.0.0.1:0")
			err := s.Receive(func(ds []netio.Datagram) {
				for _, d := range ds {
					came <- s.Addr().String() + " " + string(d.Data)
				}
			}, func(err error) { t.Errorf("the sink panicked: %v", err) })
			if err != nil {
				t.Fatal(err)
			}
			live = append(live, s)
		} else {
			i := r.IntN(len(live))
			live[i].Close()
			live[i] = live[len(live)-1]
			live = live[:len(live)-1]
			if len(live) == 0 {
				continue
			}
		}
		to := live[r.IntN(len(live))].Addr()
		coretest.SendUDP(t, out, netio.Datagram{Peer: to, Data: []byte("for you")})
		if got, want := coretest.Await(t, "a datagram", came), to.String()+" for you"; got != want {
			t.Fatalf("step %d: got %q, want %q", step, got, want)
		}
	}
	for _, s := range live {
		s.Close()
	}
	out.Close()
	goleak.VerifyNone(t, leak)
	if now := coretest.Descriptors(); now > files {
		t.Errorf("descriptors: got %d, want %d as before", now, files)
	}
}
