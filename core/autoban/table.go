package autoban

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/umbra-proxy/umbra/core/nft"
)

// TableName is the name of the table, in the family inet.
const TableName = "umbra_autoban"

// maxBans is how many bans hold at once. It bounds the kernel's memory.
const maxBans = 1 << 18

// OpenTable makes a table that drops all packets of banned clients. There is one in a
// network namespace at a time.
func OpenTable() (*nft.Table, error) {
	t, err := nft.Open(nft.Options{Name: TableName, Bits4: 32, Bits6: 64, Scope: nft.AllPackets, Max: maxBans})
	switch {
	case errors.Is(err, nft.ErrInUse):
		return nil, errors.New("another umbra autoban runs on this machine")
	case errors.Is(err, syscall.EPERM):
		return nil, fmt.Errorf("make a table of nftables: %w: run umbra autoban as root; --dry-run does without", err)
	case err != nil:
		return nil, fmt.Errorf("make a table of nftables: %w; --dry-run does without", err)
	}
	return t, nil
}
