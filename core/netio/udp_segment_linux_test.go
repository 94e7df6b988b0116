//go:build linux && !portable

package netio_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/coretest"
	"github.com/umbra-proxy/umbra/core/netio"
)

// segmented returns datagrams to a peer whose sizes are those given.
func segmented(to netip.AddrPort, sizes ...int) (ds []netio.Datagram) {
	for i, size := range sizes {
		ds = append(ds, netio.Datagram{Peer: to, Data: coretest.Pattern(size, byte(i))})
	}
	return ds
}

// sameAs waits for datagrams like those that were sent.
func sameAs(t *testing.T, in *coretest.Gathered, sent []netio.Datagram) {
	t.Helper()
	for i, want := range sent {
		got := coretest.Await(t, "a datagram", in.Got)
		if !bytes.Equal(got.Data, want.Data) {
			t.Fatalf("datagram %d: got %d bytes, want %d (or they differ)", i, len(got.Data), len(want.Data))
		}
	}
}

// What leaves in runs arrives as it was, in bursts that hold no more than they
// may: the longest runs, a shorter last one, the most bytes of a run, empty ones
// between.
func TestUDPSocketRuns(t *testing.T) {
	times := slices.Repeat[[]int]
	for _, tc := range []struct {
		name  string
		sizes []int
	}{
		{"a burst of small ones", times([]int{9}, netio.MaxBurst)},
		{"more than a burst", times([]int{9}, 3*netio.MaxBurst+5)},
		{"a shorter last one", append(times([]int{1400}, 20), 1)},
		{"shorter ones between", []int{50, 50, 20, 50, 50, 20, 20, 50}},
		{"longer ones between", []int{50, 50, 60, 60, 50, 70}},
		{"empty ones between", []int{0, 50, 50, 0, 50, 0, 0, 50, 0}},
		{"as many bytes as a run may have", times([]int{1200}, 54)},
		{"more bytes than a run may have", times([]int{1400}, 60)},
		{"two that fit no run", []int{40_000, 40_000}},
		{"two that just fit", []int{32_743, 32_743}},
		{"the longest datagrams", []int{core.MaxDatagram, core.MaxDatagram - 1, 65_488, 65_487, 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, peer := coretest.ListenUDP(t, "127.0.0.1:0"), coretest.ListenUDP(t, "127.0.0.1:0")
			peer.Grow(4 << 20)
			in := coretest.Gather(t, peer)
			ds := segmented(peer.Addr(), tc.sizes...)
			coretest.SendUDP(t, s, ds...)
			sameAs(t, in, ds)
			for sum := 0; sum < len(ds); {
				n := coretest.Await(t, "a burst", in.Bursts)
				if n < 1 || n > netio.MaxBurst {
					t.Errorf("burst: got %d datagrams, want 1 to %d", n, netio.MaxBurst)
				}
				sum += n
			}
			if got := netio.Segment(s); got != core.MaxDatagram {
				t.Errorf("segmentation: got up to %d bytes, want %d: no run should have failed", got, core.MaxDatagram)
			}
		})
	}
}

// A sink may change datagrams and append to them: neighbours that the kernel put
// together don't notice.
func TestUDPSocketSinkOwns(t *testing.T) {
	s, peer := coretest.ListenUDP(t, "127.0.0.1:0"), coretest.ListenUDP(t, "127.0.0.1:0")
	in := &coretest.Gathered{Got: make(chan netio.Datagram, 64), Bursts: make(chan int, 64)}
	err := peer.Receive(func(ds []netio.Datagram) {
		in.Take(ds[:1])
		for i := 1; i < len(ds); i++ {
			before := append(ds[i-1].Data, "longer than it was"...)
			clear(before)
			in.Take(ds[i : i+1])
		}
	}, func(err error) { t.Errorf("the sink panicked: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	ds := segmented(peer.Addr(), slices.Repeat([]int{100}, 30)...)
	coretest.SendUDP(t, s, ds...)
	sameAs(t, in, ds)
}

// Without segmentation, or with little of it, all arrives the same.
func TestUDPSocketLittleSegmentation(t *testing.T) {
	for _, segment := range []int{0, 1, 99, 100, 1000} {
		t.Run(fmt.Sprintf("up to %d bytes", segment), func(t *testing.T) {
			coretest.TestPacketConn(t, func(t testing.TB) (a, b coretest.PacketEnd) {
				x, y := coretest.ListenUDP(t, "127.0.0.1:0"), coretest.ListenUDP(t, "127.0.0.1:0")
				netio.SetSegment(x, segment)
				netio.SetSegment(y, segment)
				return endOf(t, x, "127.0.0.1"), endOf(t, y, "127.0.0.1")
			})
		})
	}
}

// A kernel that refuses to segment gets the datagrams one by one, and is not
// asked again for such.
func TestUDPSocketSegmentRefused(t *testing.T) {
	s, peer := coretest.ListenUDP(t, "127.0.0.1:0"), coretest.ListenUDP(t, "127.0.0.1:0")
	if err := netio.NoChecksums(s); err != nil {
		t.Fatal(err)
	}
	in := coretest.Gather(t, peer)
	sizes := slices.Concat([]int{7}, slices.Repeat([]int{100}, netio.MaxBurst), []int{30, 200, 200, 200, 0, 5})
	for range 2 {
		ds := segmented(peer.Addr(), sizes...)
		coretest.SendUDP(t, s, ds...)
		sameAs(t, in, ds)
		if got := netio.Segment(s); got != 99 {
			t.Errorf("segmentation after a refusal of 100 bytes: got up to %d, want 99", got)
		}
	}
}

func TestUDPSocketLowerSegment(t *testing.T) {
	for _, tc := range []struct {
		name         string
		errno        syscall.Errno
		before, size int
		want         int
	}{
		{"too large", syscall.EINVAL, core.MaxDatagram, 1400, 1399},
		{"too large for the path", syscall.EMSGSIZE, core.MaxDatagram, 1473, 1472},
		{"larger than what failed before", syscall.EINVAL, 1200, 1400, 1200},
		{"not at all", syscall.EIO, core.MaxDatagram, 1400, 0},
		{"not supported", syscall.EOPNOTSUPP, 1200, 1400, 0},
		{"one byte", syscall.EINVAL, core.MaxDatagram, 1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := coretest.ListenUDP(t, "127.0.0.1:0")
			netio.SetSegment(s, tc.before)
			netio.LowerSegment(s, tc.errno, tc.size)
			if got := netio.Segment(s); got != tc.want {
				t.Errorf("got up to %d bytes, want %d", got, tc.want)
			}
		})
	}
}

// A run that fails for another reason than its segments says nothing of them.
func TestUDPSocketSegmentSpared(t *testing.T) {
	s, peer := coretest.ListenUDP(t, "127.0.0.1:0"), coretest.ListenUDP(t, "127.0.0.1:0")
	nowhere := segmented(netip.AddrPortFrom(peer.Addr().Addr(), 0), 10, 10, 10)
	if n, err := s.Send(nowhere); n != 0 || err != nil {
		t.Errorf("send to port 0: got %d, %v, want 0, nil", n, err)
	}
	if got := netio.Segment(s); got != core.MaxDatagram {
		t.Errorf("segmentation: got up to %d bytes, want %d", got, core.MaxDatagram)
	}
}
