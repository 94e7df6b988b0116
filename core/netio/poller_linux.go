//go:build linux && !portable

package netio

import (
	"encoding/binary"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// pollers drive all UDP sockets of the process. They are package-level, as the buffer
// pools are, because they hold no state that a connection could observe; sharing them
// lets one wait serve every socket.
var pollers pollerSet

// pollerSet has at most one poller for every two processors: a poller with more
// sockets reads larger batches, and the other half of the machine works for streams.
// Pollers run while there are sockets.
type pollerSet struct {
	mu      sync.Mutex
	running []*poller // guarded by mu
	sockets int       // of all; guarded by mu
}

// add assigns s to the poller with the fewest sockets.
func (set *pollerSet) add(s *UDPSocket) error {
	set.mu.Lock()
	defer set.mu.Unlock()
	var best *poller
	for _, p := range set.running {
		if best == nil || p.count < best.count {
			best = p
		}
	}
	if best == nil || best.count > 0 && len(set.running) < runtime.GOMAXPROCS(0)/2 {
		p, err := newPoller()
		switch {
		case err == nil:
			set.running = append(set.running, p)
			go p.run()
			best = p
		case best == nil:
			return err
		}
	}
	if err := best.add(s); err != nil {
		return err
	}
	set.sockets++
	return nil
}

// remove removes s from its poller. With the last socket of the set the pollers end.
func (set *pollerSet) remove(s *UDPSocket) {
	set.mu.Lock()
	defer set.mu.Unlock()
	if s.poller == nil {
		return
	}
	s.poller.remove(s)
	set.sockets--
	if set.sockets > 0 {
		return
	}
	for _, p := range set.running {
		p.stop()
	}
	set.running = nil
}

// poller waits for many sockets at once, in a thread of its own, and reads the sockets
// that have datagrams.
type poller struct {
	epoll, wake int // descriptors; run closes them
	count       int // sockets; guarded by pollerSet.mu

	mu      sync.Mutex
	sockets []*UDPSocket // by slot, nil where one is free; guarded by mu
	free    []int        // slots; guarded by mu
}

// wakeSlot is the slot of the event that ends a poller.
const wakeSlot = -1

func newPoller() (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epoll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeSlot}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &event); err != nil {
		unix.Close(wake)
		unix.Close(epoll)
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	return &poller{epoll: epoll, wake: wake}, nil
}

func (p *poller) add(s *UDPSocket) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	slot := len(p.sockets)
	if n := len(p.free); n > 0 {
		slot = p.free[n-1]
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(slot)}
	if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, s.fd, &event); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	if slot == len(p.sockets) {
		p.sockets = append(p.sockets, s)
	} else {
		p.sockets[slot] = s
		p.free = p.free[:len(p.free)-1]
	}
	s.poller, s.slot = p, slot
	p.count++
	return nil
}

func (p *poller) remove(s *UDPSocket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// The caller is about to close the descriptor, which would also remove it from
	// the epoll set, but an event for a reused slot would cause a useless read.
	_ = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, s.fd, nil)
	p.sockets[s.slot] = nil
	p.free = append(p.free, s.slot)
	p.count--
}

// stop ends run.
func (p *poller) stop() {
	one := binary.NativeEndian.AppendUint64(nil, 1)
	_, _ = unix.Write(p.wake, one) // never full: this is the only write
}

// run reads sockets until stop. A socket with more datagrams than one call reads is
// read again after the other sockets.
func (p *poller) run() {
	defer unix.Close(p.wake)
	defer unix.Close(p.epoll)
	x := newReceiver()
	var events [MaxBurst]unix.EpollEvent
	var ready [MaxBurst]*UDPSocket
	for round := uint64(1); ; round++ {
		n, err := unix.EpollWait(p.epoll, events[:], -1)
		if err != nil && err != unix.EINTR {
			return // not before the descriptor is closed, which is below
		}
		stopped := false
		p.mu.Lock()
		for i := range max(n, 0) {
			ready[i] = nil
			if events[i].Fd == wakeSlot {
				stopped = true
				continue
			}
			ready[i] = p.sockets[events[i].Fd]
		}
		p.mu.Unlock()
		if stopped {
			return
		}
		for i := range max(n, 0) {
			if ready[i] != nil {
				x.receive(ready[i], round)
				ready[i] = nil
			}
		}
	}
}
