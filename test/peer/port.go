package peer

import (
	"net"
	"strconv"
	"sync"
	"testing"
)

// Ports are below the range of ephemeral ports, so that no outgoing connection takes one. Each
// process uses its own block.
const (
	firstPort = 12000
	blockSize = 500
	blocks    = 40
)

// ports is the block of this process.
var ports struct {
	mu    sync.Mutex
	held  net.Listener // on the first port of the block, which reserves the block
	first int
	next  int // offset from first; guarded by mu, as are all fields
}

// FreePort returns a port of 127.0.0.1 that is free for TCP and for UDP.
func FreePort(t testing.TB) int {
	t.Helper()
	ports.mu.Lock()
	defer ports.mu.Unlock()
	for i := 0; ports.held == nil && i < blocks; i++ {
		ports.first = firstPort + i*blockSize
		ports.held, _ = net.Listen("tcp", Addr(ports.first)) // fails if another process uses the block
	}
	if ports.held == nil {
		t.Fatalf("all %d blocks of ports from %d on are taken", blocks, firstPort)
	}
	for range blockSize {
		ports.next = ports.next%(blockSize-1) + 1
		if port := ports.first + ports.next; isFree(port) {
			return port
		}
	}
	t.Fatalf("no free port from %d to %d", ports.first, ports.first+blockSize-1)
	return 0
}

func isFree(port int) bool {
	ln, err := net.Listen("tcp", Addr(port))
	if err != nil {
		return false
	}
	defer ln.Close()
	socket, err := net.ListenPacket("udp", Addr(port))
	if err != nil {
		return false
	}
	socket.Close()
	return true
}

// Addr returns 127.0.0.1 with a port.
func Addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
