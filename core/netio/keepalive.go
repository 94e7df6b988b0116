package netio

import (
	"net"
	"time"
)

// KeepAlive returns the keep-alive configuration of all TCP connections of the
// project. The kernel detects a vanished peer within 75 seconds.
func KeepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 4}
}
