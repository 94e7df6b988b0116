package dial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// attemptDelay is the time after which the next address is dialled in parallel to the
// attempts in progress (RFC 8305 §5: 250 ms).
const attemptDelay = 250 * time.Millisecond

// maxAttempts is how many addresses of one name are dialled. Without the bound the
// owner of a name could cause thousands of connection attempts.
const maxAttempts = 32

// Race dials the addresses, at most 32, with the families interleaved. It starts the
// next attempt after 250 ms, or as soon as an attempt fails, in parallel to the attempts
// in progress, and returns the first connection (RFC 8305). Later connections are
// closed. If all attempts fail, Race returns their errors, joined.
func Race(ctx context.Context, ips []netip.Addr, port uint16, dial func(context.Context, netip.AddrPort) (*net.TCPConn, error)) (*net.TCPConn, error) {
	if len(ips) == 0 {
		return nil, errors.New("no address to dial")
	}
	if len(ips) == 1 {
		return dial(ctx, netip.AddrPortFrom(ips[0], port))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ips = interleave(ips)
	ips = ips[:min(len(ips), maxAttempts)]
	r := race{dial: dial, port: port, results: make(chan result, len(ips))}
	return r.run(ctx, ips)
}

type result struct {
	conn *net.TCPConn
	err  error
}

type race struct {
	dial    func(context.Context, netip.AddrPort) (*net.TCPConn, error)
	port    uint16
	results chan result // capacity for all attempts, so that no send blocks
	running int
}

func (r *race) run(ctx context.Context, ips []netip.Addr) (*net.TCPConn, error) {
	defer r.closeLate()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var failed []error
	for {
		next := timer.C
		if len(ips) == 0 {
			next = nil
		}
		select {
		case <-next:
			r.start(ctx, ips[0])
			ips = ips[1:]
			timer.Reset(attemptDelay)
		case res := <-r.results:
			r.running--
			if res.err == nil {
				return res.conn, nil
			}
			failed = append(failed, res.err)
			if len(ips) == 0 && r.running == 0 {
				return nil, errors.Join(failed...)
			}
			timer.Reset(0)
		}
	}
}

func (r *race) start(ctx context.Context, ip netip.Addr) {
	r.running++
	go func() {
		conn, err := r.dial(ctx, netip.AddrPortFrom(ip, r.port))
		r.results <- result{conn, err}
	}()
}

// closeLate closes the connections of attempts that finish after the winner. Their
// context ends with the race, so they finish soon.
func (r *race) closeLate() {
	if r.running == 0 {
		return
	}
	go func() {
		for range r.running {
			if res := <-r.results; res.conn != nil {
				res.conn.Close()
			}
		}
	}()
}

// interleave alternates the address families, beginning with the family of the first
// address (RFC 8305 §4).
func interleave(ips []netip.Addr) []netip.Addr {
	var same, other []netip.Addr
	for _, ip := range ips {
		if ip.Is4() == ips[0].Is4() {
			same = append(same, ip)
		} else {
			other = append(other, ip)
		}
	}
	out := make([]netip.Addr, 0, len(ips))
	for i := range max(len(same), len(other)) {
		if i < len(same) {
			out = append(out, same[i])
		}
		if i < len(other) {
			out = append(out, other[i])
		}
	}
	return out
}
