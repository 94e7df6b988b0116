package dial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// attemptDelay is how long one address may take before the next is tried beside
// it (RFC 8305 §5: 250 ms).
const attemptDelay = 250 * time.Millisecond

// maxAttempts is how many addresses of one name are tried: whoever owns a name could
// else have us knock at thousands of doors.
const maxAttempts = 32

// Race dials the addresses in order, the next one beside those in progress
// after 250 ms or as soon as one fails, and returns the first connection
// (RFC 8305). The others are closed. If all fail it returns all their errors, joined.
// It tries 32 at the most.
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
	results chan result // room for all attempts, so none is stuck
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

// closeLate closes the connections of attempts that lost the race. Their
// context ends with the race, so they are over soon.
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

// interleave orders addresses by turns of their families, beginning with the
// first address's (RFC 8305 §4).
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
