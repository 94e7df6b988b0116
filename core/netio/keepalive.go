package netio

import (
	"net"
	"time"
)

// KeepAliveTime is the time between two keep-alive probes where no option says otherwise.
const KeepAliveTime = 15 * time.Second

// KeepAlive returns the keep-alive configuration of all TCP connections of the
// project. The kernel detects a vanished peer within 75 seconds.
func KeepAlive() net.KeepAliveConfig { return KeepAliveEvery(KeepAliveTime) }

// KeepAliveEvery returns a configuration by which the kernel detects a vanished peer
// within five times d.
func KeepAliveEvery(d time.Duration) net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: d, Interval: d, Count: 4}
}
