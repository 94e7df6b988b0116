package autoban

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/umbra-proxy/umbra/core/nft"
)

// TableName is the name of the table, in the family inet.
const TableName = "umbra_autoban"

// maxBans is the maximum number of simultaneous bans. It bounds the kernel's memory.
const maxBans = 1 << 18

// OpenTable creates a table that drops all packets of banned clients. A network
// namespace can have only one.
func OpenTable() (*nft.Table, error) {
	t, err := nft.Open(nft.Options{Name: TableName, Bits4: 32, Bits6: 64, Scope: nft.AllPackets, Max: maxBans})
	switch {
	case errors.Is(err, nft.ErrInUse):
		return nil, errors.New("another umbra autoban is running on this machine")
	case errors.Is(err, syscall.EPERM):
		return nil, fmt.Errorf("create an nftables table: %w: run umbra autoban as root, or with --dry-run", err)
	case err != nil:
		return nil, fmt.Errorf("create an nftables table: %w; --dry-run works without one", err)
	}
	return t, nil
}
