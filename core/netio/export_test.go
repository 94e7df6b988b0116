package netio

import "net"

// Sizes of the buffers that are lent.
const (
	BigBuffer   = bigBuffer
	SmallBuffer = smallBuffer
)

// NetQueue is how many connections of a net.Listener may wait.
const NetQueue = netQueue

// Queued returns how many connections of a net.Listener of a SocketSet wait.
func Queued(l net.Listener) int { return len(l.(*netListener).queue) }

// Owns reports whether a lease gets what its socket accepts.
func Owns(l *Listener) bool { return l.sock.owner.Load() == l }
