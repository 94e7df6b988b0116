//go:build linux

package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxDatagram bounds the datagrams of all UDP tests, headers included, in bytes.
const maxDatagram = 2048

// message is struct mmsghdr of recvmmsg(2).
type message struct {
	header unix.Msghdr
	size   uint32 // bytes received
}

// batch holds datagrams of up to maxDatagram bytes that one system call receives or sends.
// It may be used by one goroutine at a time.
type batch struct {
	messages []message
	vectors  []unix.Iovec
	peers    []unix.RawSockaddrInet4 // nil if sockets are connected
	data     []byte
}

// newBatch returns a batch of n datagrams for connected sockets.
func newBatch(n int) *batch {
	b := &batch{
		messages: make([]message, n),
		vectors:  make([]unix.Iovec, n),
		data:     make([]byte, n*maxDatagram),
	}
	for i := range n {
		b.vectors[i].Base = &b.data[i*maxDatagram]
		b.messages[i].header.Iov = &b.vectors[i]
		b.messages[i].header.SetIovlen(1)
	}
	return b
}

// newPeerBatch returns a batch of n datagrams for an unconnected socket: received datagrams
// are sent back to their sources.
func newPeerBatch(n int) *batch {
	b := newBatch(n)
	b.peers = make([]unix.RawSockaddrInet4, n)
	for i := range n {
		b.messages[i].header.Name = (*byte)(unsafe.Pointer(&b.peers[i]))
	}
	return b
}

// resize sets the size of datagram i in bytes.
func (b *batch) resize(i, size int) { b.vectors[i].SetLen(size) }

// datagram returns datagram i. It is part of the batch.
func (b *batch) datagram(i int) []byte {
	return b.data[i*maxDatagram:][:b.vectors[i].Len]
}

// receive reads the datagrams that have arrived at a socket into the start of the batch, and
// returns their number. It does not block: the error is unix.EAGAIN if there are no
// datagrams.
func (b *batch) receive(fd uintptr) (int, error) {
	for i := range b.messages {
		b.resize(i, maxDatagram)
		if b.peers != nil {
			b.messages[i].header.Namelen = unix.SizeofSockaddrInet4
		}
	}
	n, err := b.call(unix.SYS_RECVMMSG, fd, 0, len(b.messages))
	for i := range n {
		b.resize(i, int(b.messages[i].size))
	}
	return n, err
}

// send sends the datagrams from up to but without to, and returns the number that the kernel
// accepted. It does not block.
func (b *batch) send(fd uintptr, from, to int) (int, error) {
	return b.call(unix.SYS_SENDMMSG, fd, from, to)
}

// call is recvmmsg or sendmmsg, which golang.org/x/sys does not wrap.
func (b *batch) call(trap, fd uintptr, from, to int) (int, error) {
	for {
		n, _, errno := unix.Syscall6(trap, fd, uintptr(unsafe.Pointer(&b.messages[from])), uintptr(to-from),
			unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
