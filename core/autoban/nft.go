package autoban

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"time"
)

const (
	tableName = "umbra_autoban"
	// nftTimeout is how long one call of nft may take.
	nftTimeout = 30 * time.Second
	// lockName is held by the one process that keeps the table. An abstract socket
	// belongs to the network namespace, as the table does, and ends with its process.
	lockName = "@umbra-autoban"
)

// Setup is what nft is told to begin with. A table that a killed process has left
// makes room.
const Setup = `add table inet umbra_autoban
delete table inet umbra_autoban
table inet umbra_autoban {
	set v4 { type ipv4_addr; flags timeout; size 131072; }
	set v6 { type ipv6_addr; flags timeout; size 131072; }
	chain input {
		type filter hook input priority -10; policy accept;
		ip saddr @v4 drop
		ip6 saddr & ffff:ffff:ffff:ffff:: @v6 drop
	}
}
`

// Remove is what nft is told at the end.
const Remove = "delete table inet " + tableName + "\n"

// Element returns what nft is told of a ban. Whatever is left of an earlier one
// goes before, because nft does not prolong an element.
func Element(client netip.Prefix, left time.Duration) string {
	set := "v6"
	if client.Addr().Is4() {
		set = "v4"
	}
	at := fmt.Sprintf("element inet %s %s { %s", tableName, set, client.Addr())
	seconds := max(1, int64((left+time.Second-1)/time.Second))
	return fmt.Sprintf("add %s timeout 1s }\ndelete %s }\nadd %s timeout %ds }\n", at, at, at, seconds)
}

// Table is a table of nftables that drops what comes from banned clients.
type Table struct {
	nft  string // the program's path
	lock net.Listener
}

// NewTable makes the table. There is one in a network namespace at a time.
func NewTable(ctx context.Context) (*Table, error) {
	path, err := findNft()
	if err != nil {
		return nil, err
	}
	lock, err := new(net.ListenConfig).Listen(ctx, "unix", lockName)
	if err != nil {
		return nil, errors.New("another umbra autoban runs on this machine")
	}
	t := &Table{path, lock}
	if err := t.tell(ctx, Setup); err != nil {
		lock.Close()
		return nil, err
	}
	return t, nil
}

// findNft returns where nft is, also for those whose PATH has no such folders.
func findNft() (string, error) {
	for _, name := range []string{"nft", "/usr/sbin/nft", "/sbin/nft"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("nft is not installed: it is in the package nftables; --dry-run does without")
}

// Ban drops what comes from a client for a time. If the table has been taken away,
// as by somebody who loads other rules, it is made again with all bans of j.
func (t *Table) Ban(ctx context.Context, b Ban, j *Jail) error {
	if t.tell(ctx, Element(b.Client, b.Duration)) == nil {
		return nil
	}
	script := []byte(Setup)
	j.Active(time.Now(), func(client netip.Prefix, left time.Duration) {
		script = append(script, Element(client, left)...)
	})
	return t.tell(ctx, string(script))
}

// Close takes the table away.
func (t *Table) Close() error {
	defer t.lock.Close()
	err := t.tell(context.Background(), Remove)
	if err != nil && strings.Contains(err.Error(), "No such file") {
		return nil // somebody else has
	}
	return err
}

// tell runs nft with a script on its standard input: nothing of it is on a command
// line, and all of it happens or nothing does.
func (t *Table) tell(ctx context.Context, script string) error {
	ctx, cancel := context.WithTimeout(ctx, nftTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.nft, "-f", "-")
	cmd.Env = []string{"LC_ALL=C"}
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	said, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
	if bytes.Contains(said, []byte("not permitted")) {
		return errors.New("nft may not change the rules: run umbra autoban as root, or with CAP_NET_ADMIN; --dry-run does without")
	}
	return fmt.Errorf("nft: %w: %s", err, said)
}
