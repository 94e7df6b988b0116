package peer

import (
	"strconv"
	"testing"
)

// Redis runs a Redis server on a port, without persistence.
func Redis(t testing.TB, port int) *Process {
	t.Helper()
	p := Start(t, nil, Need(t, "redis-server"), "--port", strconv.Itoa(port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1")
	p.WaitListen(t, port)
	return p
}
