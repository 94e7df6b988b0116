//go:build !linux

package nft

import (
	"errors"
	"net/netip"
	"time"
)

// errNone is the error of every call: only Linux has nftables.
var errNone = errors.New("this system has no nftables")

// Table is never created: Open returns an error.
type Table struct{}

// Open returns an error.
func Open(Options) (*Table, error) { return nil, errNone }

// Guard returns an error.
func (*Table) Guard([]uint16) error { return errNone }

// Ban returns an error.
func (*Table) Ban(netip.Prefix, time.Duration) error { return errNone }

// Free returns an error.
func (*Table) Free(netip.Prefix) error { return errNone }

// Repair returns an error.
func (*Table) Repair() (int, error) { return 0, errNone }

// Close returns an error.
func (*Table) Close() error { return errNone }
