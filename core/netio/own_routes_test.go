package netio

import (
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// An address is another machine's only if the system says so: the lack of descriptors
// opens no way to the server's own addresses.
func TestRoutesAreCautious(t *testing.T) {
	ip := netip.MustParseAddr("192.0.2.1")
	for _, tc := range []struct {
		name string
		err  error
		want bool
	}{
		{"no descriptors of the process", os.NewSyscallError("socket", syscall.EMFILE), true},
		{"no descriptors of the machine", os.NewSyscallError("socket", syscall.ENFILE), true},
		{"no memory", os.NewSyscallError("socket", syscall.ENOMEM), true},
		{"no buffers", os.NewSyscallError("socket", syscall.ENOBUFS), true},
		{"no free port", os.NewSyscallError("connect", syscall.EAGAIN), true},
		{"forbidden", os.NewSyscallError("socket", syscall.EPERM), true},
		{"no route", os.NewSyscallError("connect", syscall.ENETUNREACH), false},
		{"unreachable route", os.NewSyscallError("connect", syscall.EHOSTUNREACH), false},
		{"prohibiting route", os.NewSyscallError("connect", syscall.EACCES), false},
		{"black hole", os.NewSyscallError("connect", syscall.EINVAL), false},
		{"no source address", os.NewSyscallError("connect", syscall.EADDRNOTAVAIL), false},
		{"no such family", os.NewSyscallError("socket", syscall.EAFNOSUPPORT), false},
		{"interface down", os.NewSyscallError("connect", syscall.ENETDOWN), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			asked := 0
			r := ownRoutes{source: func(netip.Addr) (netip.Addr, error) {
				asked++
				return netip.Addr{}, &net.OpError{Op: "dial", Net: "udp", Err: tc.err}
			}}
			for range 2 {
				if got := r.back(ip); got != tc.want {
					t.Errorf("got own %t, want %t", got, tc.want)
				}
			}
			want := 1
			if tc.want {
				want = 2 // it may be known the next time
			}
			if asked != want {
				t.Errorf("got %d look-ups of two, want %d", asked, want)
			}
		})
	}
}

// A route is looked up once in ownLife for each address, and few answers are kept.
func TestRoutesAreCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own, asked := netip.MustParseAddr("192.0.2.1"), 0
		r := ownRoutes{source: func(netip.Addr) (netip.Addr, error) {
			asked++
			return own, nil
		}}
		other := netip.MustParseAddr("198.51.100.0")
		for range 1000 {
			if !r.back(own) || r.back(other) {
				t.Fatal("got the wrong answer")
			}
		}
		if asked != 2 {
			t.Errorf("got %d look-ups, want 2", asked)
		}
		time.Sleep(ownLife)
		if r.back(own); asked != 3 {
			t.Errorf("after the life of an answer: got %d look-ups, want 3", asked)
		}
		for range 3 * mostRoutes {
			other = other.Next()
			r.back(other)
		}
		if len(r.known) > mostRoutes {
			t.Errorf("got %d answers, want %d at most", len(r.known), mostRoutes)
		}
	})
}
