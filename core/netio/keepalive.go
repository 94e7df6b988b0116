package netio

import (
	"net"
	"time"
)

// KeepAlive is what TCP connections of the project ask of the kernel: a peer
// that vanished without a word is noticed within 75 seconds.
func KeepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 4}
}
