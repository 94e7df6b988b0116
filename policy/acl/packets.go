package acl

import "github.com/umbra-proxy/umbra/core"

// packets is an association whose datagrams are checked one by one against the current
// rules; no result is cached.
type packets struct {
	policy *Policy
	next   core.PacketConn
	judge  func(*rules, core.Addr) (reason, bool)
}

// WritePackets passes on the allowed datagrams and drops the others.
func (c *packets) WritePackets(ps []core.Packet) (int, error) {
	rules := c.policy.rules.Load()
	open := ps[:0]
	for _, p := range ps {
		if why, ok := c.judge(rules, p.Addr); !ok {
			c.policy.drop(p.Addr, why)
			continue
		}
		open = append(open, p)
	}
	if len(open) == 0 {
		return 0, nil
	}
	return c.next.WritePackets(open)
}

// Receive passes on all arriving datagrams.
func (c *packets) Receive(sink core.PacketSink) { c.next.Receive(sink) }

// Close closes the next connection.
func (c *packets) Close() error { return c.next.Close() }
