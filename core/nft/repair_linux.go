package nft

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"github.com/google/nftables"
)

const (
	// reportEvery is the shortest time between two calls of Repair that return repairs:
	// other software may delete the table again and again.
	reportEvery = time.Minute
	// compareEvery is the interval between comparisons of the bans: the kernel returns
	// all of them for one.
	compareEvery = 30 * time.Second
)

// Repair creates the table again, with all bans, if other software has deleted or changed
// it, as `nft flush ruleset` does, or if the last change failed. Callers call it about once
// a second.
//
// It returns how many times the table was created again, by Repair or by another call,
// since it last returned more than 0: at most once a minute, so that callers can log each.
func (t *Table) Repair() (repairs int, err error) {
	now := time.Now()
	intact, err := t.isIntact(now)
	if err != nil {
		return 0, err
	}
	if !intact {
		if err := t.recreate(); err != nil {
			t.broken = true
			return 0, err
		}
		t.broken = false
	}
	if t.repairs == 0 || !t.reported.IsZero() && now.Sub(t.reported) < reportEvery {
		return 0, nil
	}
	repairs, t.repairs, t.reported = t.repairs, 0, now
	return repairs, nil
}

// recreate is create for a table that was created before.
func (t *Table) recreate() error {
	if err := t.create(); err != nil {
		return err
	}
	t.repairs++
	t.compared = time.Now()
	return nil
}

// isIntact reports whether the table has its rules, and, at every compareEvery, its bans.
func (t *Table) isIntact(now time.Time) (bool, error) {
	if t.broken {
		return false, nil
	}
	rules, err := t.conn.GetRules(t.table, t.chain)
	switch {
	case errors.Is(err, syscall.ENOENT):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("nftables table inet %s: read the rules: %w", t.options.Name, err)
	case len(rules) != ruleCount:
		return false, nil
	case len(t.until) == 0 || now.Sub(t.compared) < compareEvery:
		return true, nil
	}
	t.compared = now
	held, err := t.held()
	switch {
	case errors.Is(err, syscall.ENOENT):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("nftables table inet %s: read the bans: %w", t.options.Name, err)
	}
	soon := now.Add(2 * time.Second) // the kernel may have just removed the element
	for client, until := range t.until {
		if until.After(soon) && !held[client.Masked().Addr()] {
			return false, nil
		}
	}
	return true, nil
}

// held returns the addresses of the clients that the kernel's sets contain.
func (t *Table) held() (map[netip.Addr]bool, error) {
	all := map[netip.Addr]bool{}
	for _, set := range []*nftables.Set{t.clients4, t.clients6} {
		elements, err := t.conn.GetSetElements(set)
		if err != nil {
			return nil, err
		}
		for _, e := range elements {
			if ip, ok := netip.AddrFromSlice(e.Key); ok {
				all[ip] = true
			}
		}
	}
	return all, nil
}
