package python

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// network reads a range of addresses as the original does: of an address without a prefix
// size, trailing zero bits are the size, which is returned as text, as "10.0.0.0/7".
func network(text string) (p netip.Prefix, implicit string, err error) {
	//lint:ignore ST1005 these are the original's words, which tools look for
	bad := fmt.Errorf("Not a valid CIDR notation: %s", text)
	address, size, hasSize := strings.Cut(text, "/")
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Zone() != "" {
		return p, "", bad
	}
	if !hasSize {
		p = netip.PrefixFrom(ip, ip.BitLen()-zeros(ip))
		return p, p.String(), nil
	}
	n, err := strconv.Atoi(size)
	if err != nil || n < 0 || n > ip.BitLen() || strings.HasPrefix(size, "+") {
		return p, "", bad
	}
	return netip.PrefixFrom(ip, n).Masked(), "", nil
}

// zeros returns how many trailing bits of an address are zero, and 0 if all are.
func zeros(ip netip.Addr) int {
	n := 0
	b := ip.AsSlice()
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != 0 {
			return n + bits.TrailingZeros8(b[i])
		}
		n += 8
	}
	return 0
}
