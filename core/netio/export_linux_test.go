//go:build linux && !portable

package netio

import "golang.org/x/sys/unix"

// Pollers returns how many pollers run.
func Pollers() int {
	pollers.mu.Lock()
	defer pollers.mu.Unlock()
	return len(pollers.running)
}

// Segment returns up to which size the kernel may segment datagrams.
func Segment(s *UDPSocket) int { return int(s.segment.Load()) }

// SetSegment has a socket act as one on a kernel that segments up to a size.
func SetSegment(s *UDPSocket, size int) { s.segment.Store(int32(size)) }

// LowerSegment is UDPSocket.lowerSegment.
func LowerSegment(s *UDPSocket, errno error, size int) { s.lowerSegment(errno, size) }

// NoChecksums has a socket send without checksums, with which the kernel refuses
// to segment.
func NoChecksums(s *UDPSocket) error {
	return unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1)
}
