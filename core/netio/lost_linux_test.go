//go:build linux && !portable

package netio_test

import (
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
	"golang.org/x/sys/unix"
)

// Datagrams for which a socket has no room are counted, whether they leave in runs that
// the kernel segments, in messages of their own, or one by one. They stay in the socket's
// buffer because nobody on the link says which neighbour has the address.
func TestLostFullSocket(t *testing.T) {
	for name, burst := range map[string]int{"bursts": netio.MaxBurst, "alone": 1} {
		for _, size := range []int{1, 1000} { // how much the size of a datagram differs from the next one
			t.Run(name, func(t *testing.T) {
				failed := make(chan string, 1)
				go func() { // its thread ends with it, and so does the namespace
					runtime.LockOSThread()
					failed <- sendUnanswered(burst, size)
				}()
				switch why := <-failed; why {
				case "":
				case noNamespace:
					t.Skip(why)
				default:
					t.Error(why)
				}
			})
		}
	}
}

const noNamespace = "network namespaces require root and ip"

// sendUnanswered sends datagrams in a new namespace of this thread, and returns what is
// wrong about the drops.
func sendUnanswered(burst, sizes int) string {
	if unix.Unshare(unix.CLONE_NEWNET) != nil {
		return noNamespace
	}
	for _, args := range [][]string{
		{"link", "add", "near", "type", "veth", "peer", "name", "far"},
		{"addr", "add", "192.0.2.1/24", "dev", "near"},
		{"link", "set", "near", "up"},
		{"link", "set", "far", "up"},
	} {
		if exec.Command("ip", args...).Run() != nil {
			return noNamespace
		}
	}
	s, err := netio.OpenUDPWith(netio.SocketOptions{})
	if err != nil {
		return err.Error()
	}
	defer s.Close()
	s.Grow(1) // to the least that the kernel allows
	var f core.Flow
	to, lost := netip.MustParseAddrPort("192.0.2.2:9"), 0
	for range 4 * netio.MaxBurst / burst {
		ps := make([]core.Packet, burst)
		for i := range ps {
			ps[i] = core.Packet{Addr: core.AddrFrom(to), Data: make([]byte, 200+i%2*(sizes-1))}
		}
		sent, err := s.SendPackets(&f, ps, func(*core.Packet) (netip.AddrPort, bool) { return to, true })
		if err != nil {
			return err.Error()
		}
		lost += burst - sent
	}
	if got, want := f.TakeDropped(), []core.Dropped{{Reason: core.DropFull, Count: lost}}; lost == 0 || !slices.Equal(got, want) {
		return "dropped otherwise than as a full socket"
	}
	return ""
}
