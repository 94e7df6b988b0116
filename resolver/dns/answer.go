package dns

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
	"github.com/umbra-proxy/umbra/core"
)

const (
	maxChain  = 64 // CNAMEs from a name to its addresses: more than recursive servers follow
	maxFollow = 16 // of them that a server leaves open, each of which is a query
	maxAddrs  = 16 // addresses of one family: each may be dialled
)

// status is the result for a question.
type status uint8

const (
	found   status = iota // the name has addresses
	empty                 // the name exists and has no address of this family
	missing               // the name does not exist
	failed                // no server gave a usable answer
)

// answer is the answer of one server.
type answer struct {
	status status
	ips    []netip.Addr
	ttl    time.Duration // unsaid for a negative answer without a SOA
	chain  int           // CNAMEs followed
	next   string        // the name to query next if the chain is incomplete, or ""
}

// unsaid is the TTL of a negative answer without a SOA.
const unsaid = time.Duration(-1)

// read finds the answer to q in r: the records at the end of the CNAME chain that
// begins with q's name. All other records are ignored, so a server can't supply
// addresses for a name that was not queried.
func (r *reply) read(q question) (answer, error) {
	if r.rcode != dns.RcodeSuccess && r.rcode != dns.RcodeNameError {
		return answer{}, rcodeError(r.rcode)
	}
	a := answer{ttl: time.Duration(1<<63 - 1)}
	name := q.name
	for {
		target := ""
		for _, rec := range r.records {
			if rec.name != name {
				continue
			}
			switch {
			case rec.kind == q.kind:
				a.ttl = min(a.ttl, ttlOf(rec.ttl))
				if len(a.ips) < maxAddrs && !contains(a.ips, rec.ip) {
					a.ips = append(a.ips, rec.ip)
				}
			case rec.kind == dns.TypeCNAME && target == "":
				target = rec.target
				a.ttl = min(a.ttl, ttlOf(rec.ttl))
			}
		}
		if len(a.ips) > 0 || target == "" {
			break
		}
		if a.chain++; a.chain > maxChain {
			return answer{}, fmt.Errorf("%w: CNAME chain of over %d names", core.ErrMalformed, maxChain)
		}
		name = target
	}
	switch {
	case len(a.ips) == 0:
		return r.no(a, name)
	case r.rcode == dns.RcodeNameError:
		return answer{}, fmt.Errorf("%w: addresses in an NXDOMAIN answer", core.ErrMalformed)
	}
	return a, nil
}

// no completes a negative answer, whose chain ends at name without an address.
func (r *reply) no(a answer, name string) (answer, error) {
	said := r.soa != nil && under(name, r.soa.name)
	switch {
	case r.rcode == dns.RcodeNameError:
		a.status = missing
	case !said && a.chain > 0:
		a.next = name
		return a, nil
	case !said && r.referral && !r.authoritative:
		return answer{}, errLame
	default:
		a.status = empty
	}
	if !said {
		a.ttl = unsaid
		return a, nil
	}
	a.ttl = min(a.ttl, ttlOf(r.soa.ttl), ttlOf(r.soa.minimum))
	return a, nil
}

// ttlOf returns a TTL as a time. One with its top bit set is 0 (RFC 2181 §8).
func ttlOf(seconds uint32) time.Duration {
	if seconds > 1<<31-1 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

func contains(ips []netip.Addr, ip netip.Addr) bool {
	for _, known := range ips {
		if known == ip {
			return true
		}
	}
	return false
}

// under reports whether name is zone or a name below it. Both are in lower case and
// without the trailing dot.
func under(name, zone string) bool {
	if len(name) <= len(zone) {
		return name == zone
	}
	return zone == "" || strings.HasSuffix(name, zone) && name[len(name)-len(zone)-1] == '.'
}

// isHost reports whether name is a valid host name.
func isHost(name string) bool {
	addr, err := core.NewAddr(name, 0)
	return err == nil && addr.Name() != ""
}
