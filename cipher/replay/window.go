package replay

const blockBits = 64

// Window records which numbered datagrams of a session have been received. It is exact
// for the last size numbers; all older numbers count as received. It is not safe for
// concurrent use.
//
// The window is a ring of blocks of 64 bits, with one block more than size needs, so
// that the newest block can be cleared as a whole (RFC 6479).
type Window struct {
	size    uint64
	highest uint64
	ring    []uint64 // bit id%64 of block id/64%len is set if id was received
}

// NewWindow returns a Window of size numbers, at least one, none of them received. The
// first datagram may have any number.
func NewWindow(size int) Window {
	blocks := (size+blockBits-1)/blockBits + 1
	return Window{size: uint64(size), ring: make([]uint64, blocks)}
}

// NewWindowAt returns a Window of size numbers in which highest and all lower numbers
// count as received.
func NewWindowAt(size int, highest uint64) Window {
	w := NewWindow(size)
	w.highest = highest
	for i := range w.ring {
		w.ring[i] = ^uint64(0)
	}
	*w.block(highest) = bit(highest)<<1 - 1
	return w
}

// Highest returns the highest number that was received.
func (w *Window) Highest() uint64 { return w.highest }

// Has reports whether id counts as received. It does not change the window.
func (w *Window) Has(id uint64) bool {
	switch {
	case id > w.highest:
		return false
	case w.highest-id >= w.size:
		return true
	}
	return *w.block(id)&bit(id) != 0
}

// Add marks id as received and reports whether it was new. Call Add only after the
// datagram was authenticated and parsed.
func (w *Window) Add(id uint64) bool {
	if w.Has(id) {
		return false
	}
	if id > w.highest {
		w.moveTo(id)
	}
	*w.block(id) |= bit(id)
	return true
}

// moveTo makes id the highest number and clears the blocks after the previous one.
func (w *Window) moveTo(id uint64) {
	first, last := w.highest/blockBits, id/blockBits
	fresh := min(last-first, uint64(len(w.ring)))
	for i := range fresh {
		w.ring[(last-i)%uint64(len(w.ring))] = 0
	}
	w.highest = id
}

func (w *Window) block(id uint64) *uint64 { return &w.ring[id/blockBits%uint64(len(w.ring))] }

func bit(id uint64) uint64 { return 1 << (id % blockBits) }
