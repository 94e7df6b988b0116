package hosts

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"github.com/umbra-proxy/umbra/core"
)

const (
	maxFile  = 32 << 20 // of a hosts file, in bytes: far above the large lists of names to block
	maxAddrs = 16       // of one name: each may be dialled
)

// table holds the addresses of names, which are in lower case and without the trailing
// dot.
type table map[string][]netip.Addr

// add adds an address of a name, unless the name already has maxAddrs.
func (t table) add(name string, ip netip.Addr) {
	if ips := t[name]; len(ips) < maxAddrs && !slices.Contains(ips, ip) {
		t[name] = append(ips, ip)
	}
}

// parse parses a hosts file: an address and names on each line, and comments after a
// "#". bad is the number of invalid lines, and firstBad the first of them. An address
// with a zone is valid on this machine only, so its line is ignored.
func parse(text []byte) (t table, bad, firstBad int) {
	t = table{}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		line, _, _ = bytes.Cut(line, []byte("#"))
		fields := strings.Fields(string(line))
		if len(fields) == 0 {
			continue
		}
		ip, err := netip.ParseAddr(fields[0])
		ok := err == nil && len(fields) > 1
		if ok && ip.Zone() != "" {
			continue
		}
		for _, name := range fields[1:] {
			host, isHost := normal(name)
			if ok && isHost {
				t.add(host, ip.Unmap())
			}
			ok = ok && isHost
		}
		if !ok {
			if bad++; bad == 1 {
				firstBad = n
			}
		}
	}
	return t, bad, firstBad
}

// normal returns a name in the form of a table, and false if the name is invalid.
func normal(name string) (string, bool) {
	addr, err := core.NewAddr(name, 0)
	if err != nil || addr.Name() == "" {
		return "", false
	}
	return strings.ToLower(strings.TrimSuffix(name, ".")), true
}
