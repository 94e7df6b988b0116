// Package budget divides the descriptors and the memory of the process among its
// connections.
//
// A connection is a stranger until its request is known, and again while it is ended
// after a handshake that failed; then it is served. Strangers of all inbounds together
// have at most half of the descriptors and a quarter of the memory, and only what the
// served connections leave. So a flood of strangers keeps nobody out who has a key, and
// a process that is full refuses new connections instead of running out.
package budget

import (
	"sync"

	"github.com/umbra-proxy/umbra/core"
)

// The cost of a connection. A stream has two sockets and, when one side does not read, a
// small buffer; an association has its upstream sockets of both families and, with
// SOCKS5, a control connection and a socket for the client.
const (
	strangerBytes    = 8 << 10
	streamBytes      = 32 << 10
	associationBytes = 8 << 10

	streamFiles      = 2
	associationFiles = 3

	// programBytes is the memory of a program without connections.
	programBytes = 16 << 20
	// leastBytes is the least memory for connections, whatever the limit.
	leastBytes = 4 << 20
	// leastReserve is the least number of descriptors that are kept for name lookups,
	// listening sockets, logs and files. Usually an eighth of all is kept.
	leastReserve = 16
)

// Limits are the limits of the process. A limit of 0 means that there is none.
type Limits struct {
	Descriptors int   // that may be open at once
	Memory      int64 // bytes that the process may use
}

// files returns how many descriptors connections may hold.
func (l Limits) files() int { return l.Descriptors - max(leastReserve, l.Descriptors/8) }

// bytes returns how much memory connections may use: three quarters of the limit,
// without what the program needs. The rest is for garbage that is not collected yet.
func (l Limits) bytes() int64 { return max(l.Memory/4*3-programBytes, leastBytes) }

// BufferBytes returns how much of Memory is for buffers beyond the small one that each
// stream has its room for, or 0 if there is no limit.
func (l Limits) BufferBytes() int64 {
	if l.Memory == 0 {
		return 0
	}
	return l.bytes() / 4
}

// connectionBytes returns the rest.
func (l Limits) connectionBytes() int64 { return l.bytes() - l.BufferBytes() }

// Resource is what a budget is out of.
type Resource string

// The resources.
const (
	Descriptors Resource = "descriptors"
	Memory      Resource = "memory"
)

// Shortage says that a connection was refused or ended for lack of a resource.
type Shortage struct {
	Of                    Resource
	Limit                 int64 // of the resource
	Streams, Associations int   // that are served
}

// Budget is the budget of a process. It is safe for concurrent use; the zero Budget, and
// a nil one, have no limits.
type Budget struct {
	mu           sync.Mutex
	limits       Limits // guarded by mu, as all that follows
	streams      int
	associations int
	strangers    crowd
	files        int // descriptors of strangers
	full         func(Shortage)
}

// Of returns the budget of a process.
func Of(p *core.Process) *Budget { return core.Shared[Budget](p) }

// Set sets the limits. Strangers that are too many under them are evicted; what is served
// goes on. full, which may be nil, is called for each connection that is refused or ended for lack of a resource. It
// must not block or use the budget.
func (b *Budget) Set(l Limits, full func(Shortage)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limits, b.full = l, full
	b.shrink()
}

// Serve takes the room of a connection that is served from now on. If the served
// connections leave no room, Serve returns false. Otherwise the caller calls Settle once
// the connection is no stranger any more, and Release at its end.
func (b *Budget) Serve(n core.Network) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(n, 1)
	if r := b.lacking(0, 0); r != "" {
		b.count(n, -1)
		b.tell(r)
		return false
	}
	return true
}

// Settle has strangers make the room that Serve has taken.
func (b *Budget) Settle() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shrink()
}

// Release gives back the room of a served connection.
func (b *Budget) Release(n core.Network) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(n, -1)
}

// Served returns how many streams and associations are served.
func (b *Budget) Served() (streams, associations int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.streams, b.associations
}

// Sessions returns how many UDP sessions an inbound may have: what half of the
// descriptors suffices for, and at most most.
func (b *Budget) Sessions(most int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limits.Descriptors > 0 {
		most = min(most, max(1, b.limits.files()/2/associationFiles))
	}
	return most
}

// Crowded reports whether Serve would refuse a connection.
func (b *Budget) Crowded(n core.Network) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(n, 1)
	defer b.count(n, -1)
	return b.lacking(0, 0) != ""
}

// count adds n to the number of served connections over a network. b.mu is held, as in
// all that follows.
func (b *Budget) count(over core.Network, n int) {
	if over == core.UDP {
		b.associations += n
	} else {
		b.streams += n
	}
}

// lacking returns the resource that does not suffice for the served connections and as
// many strangers with as many descriptors, or "".
func (b *Budget) lacking(strangers, files int) Resource {
	if b.limits.Descriptors > 0 {
		all, served := b.limits.files(), streamFiles*b.streams+associationFiles*b.associations
		if served+files > all || 2*files > all {
			return Descriptors
		}
	}
	if b.limits.Memory > 0 {
		all, served := b.limits.connectionBytes(), int64(streamBytes)*int64(b.streams)+int64(associationBytes)*int64(b.associations)
		these := int64(strangerBytes) * int64(strangers)
		if served+these > all || 4*these > all {
			return Memory
		}
	}
	return ""
}

// shrink evicts strangers until the others fit beside the served connections.
func (b *Budget) shrink() {
	for b.strangers.len() > 0 {
		r := b.lacking(b.strangers.len(), b.files)
		if r == "" {
			return
		}
		b.tell(r)
		b.strangers.oldest().evict()
	}
}

func (b *Budget) tell(r Resource) {
	if b.full != nil {
		limit := int64(b.limits.Descriptors)
		if r == Memory {
			limit = b.limits.Memory
		}
		b.full(Shortage{r, limit, b.streams, b.associations})
	}
}
