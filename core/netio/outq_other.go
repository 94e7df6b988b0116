//go:build !linux

package netio

import (
	"net"

	"github.com/umbra-proxy/umbra/core"
)

// KnowsSendQueue says whether SendQueue can tell what has been delivered.
const KnowsSendQueue = false

// SendQueue returns 0: this system's kernel is not queried.
func SendQueue(core.Stream) int { return 0 }

// WaitReset returns nil: this system's kernel is not queried.
func WaitReset(core.Stream) error { return nil }

// WasReset returns false: this system's kernel is not queried.
func WasReset(core.Stream) bool { return false }

// WaitGone returns nil: this system's kernel is not queried.
func WaitGone(net.Conn, EndOf) error { return nil }
