package direct

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"net/netip"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/dial"
	"github.com/umbra-proxy/umbra/core/netio"
)

// maxInterface is the longest name of an interface in bytes (IFNAMSIZ without its zero).
const maxInterface = 15

// setSocket sets the socket options of the file.
func (d *Outbound) setSocket(name string, o Options) error {
	d.from = sources{salt: name}
	for _, p := range o.From {
		if ip := p.Addr(); ip.IsUnspecified() || ip.IsMulticast() || ip.IsLoopback() && !p.IsSingleIP() {
			return core.BadOption("from", "%s is no address to send from", p)
		}
		if p.Addr().Is4() {
			d.from.v4 = append(d.from.v4, p.Prefix)
		} else {
			d.from.v6 = append(d.from.v6, p.Prefix)
		}
	}
	if len(o.Interface) > maxInterface {
		return core.BadOption("interface", "%q is no name of an interface: it has more than %d bytes", o.Interface, maxInterface)
	}
	d.net.Socket = netio.SocketOptions{Interface: o.Interface, Mark: o.Mark, FastOpen: o.FastOpen}
	for key, one := range map[string]netio.SocketOptions{
		"interface": {Interface: o.Interface}, "mark": {Mark: o.Mark}, "fast_open": {FastOpen: o.FastOpen},
	} {
		if err := one.Supported(); err != nil {
			return &core.OptionError{Key: key, Err: err}
		}
	}
	return nil
}

// netFor returns the network for a request: from the source addresses of its user.
func (d *Outbound) netFor(r *core.Request) dial.Net {
	n := d.net
	if len(d.from.v4)+len(d.from.v6) == 0 {
		return n
	}
	var free4, free6 bool
	n.Socket.Source4, free4 = d.from.pick(d.from.v4, r)
	n.Socket.Source6, free6 = d.from.pick(d.from.v6, r)
	n.Socket.FreeBind = free4 || free6
	return n
}

// sources are the source addresses of a file, by family.
type sources struct {
	salt   string
	v4, v6 []netip.Prefix
}

// has reports whether targets with the family of ip can be dialled.
func (s sources) has(ip netip.Addr) bool {
	if len(s.v4)+len(s.v6) == 0 {
		return true
	}
	if ip.Unmap().Is4() {
		return len(s.v4) > 0
	}
	return len(s.v6) > 0
}

// pick returns a source address for a request, always the same for a user or, without
// users, for a client. free reports whether it is of a range, whose addresses the machine
// need not have one by one.
func (s sources) pick(from []netip.Prefix, r *core.Request) (ip netip.Addr, free bool) {
	if len(from) == 0 {
		return netip.Addr{}, false
	}
	if len(from) == 1 && from[0].IsSingleIP() {
		return from[0].Addr(), false
	}
	key := append([]byte(s.salt), 0)
	if r.User != "" {
		key = append(append(key, 'u'), r.User...)
	} else {
		key = core.SourceOf(r.Client.Addr.Addr().Unmap().WithZone("")).AppendTo(key)
	}
	sum := sha256.Sum256(key)
	p := from[binary.BigEndian.Uint64(sum[:8])%uint64(len(from))]
	if p.IsSingleIP() {
		return p.Addr(), false
	}
	return within(p, sum[8:]), true
}

// within returns the address of a range that a hash says. The first address of a range, which
// is the network's own or the anycast one of its routers, and the last of IPv4, to which all
// listen, are left out, unless the range has no others.
func within(p netip.Prefix, hash []byte) netip.Addr {
	bits := p.Addr().BitLen() - p.Bits()
	size := new(big.Int).Lsh(big.NewInt(1), uint(bits))
	first, left := big.NewInt(1), big.NewInt(1)
	if p.Addr().Is4() {
		left = big.NewInt(2)
	}
	if bits < 2 {
		first, left = new(big.Int), new(big.Int)
	}
	n := new(big.Int).SetBytes(hash)
	n.Mod(n, new(big.Int).Sub(size, left))
	n.Add(n, first)
	n.Or(n, new(big.Int).SetBytes(p.Addr().AsSlice()))
	bytes := make([]byte, p.Addr().BitLen()/8)
	n.FillBytes(bytes)
	ip, _ := netip.AddrFromSlice(bytes)
	return ip
}
