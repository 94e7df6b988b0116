package replay

import (
	"hash/maphash"
	"sync"
)

// Digests is a bounded set of salts for what comes in such numbers that a Salts
// would be too large: of each it keeps 64 bits of a hash under a secret of its
// own, so a new salt is taken for an old one about once in 10¹³, and nobody can
// bring that about. It keeps the last size to 2×size of them, in 32 bytes each at
// the most.
type Digests struct {
	seed maphash.Seed
	size int

	mu       sync.Mutex
	now, old digestTable // guarded by mu
}

// NewDigests returns an empty set that remembers at least the last size salts.
func NewDigests(size int) *Digests { return &Digests{seed: maphash.MakeSeed(), size: size} }

// Add adds salt and reports whether it was new, under the rules of Salts.Add.
func (d *Digests) Add(salt []byte) bool {
	digest := maphash.Bytes(d.seed, salt)
	if digest == 0 { // which marks a free slot
		digest = 1
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.old.has(digest) || d.now.has(digest) {
		return false
	}
	if d.now.count >= d.size {
		d.now, d.old = digestTable{}, d.now
	}
	d.now.add(digest)
	return true
}

// Len returns how many salts are remembered.
func (d *Digests) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now.count + d.old.count
}

// digestTable is a hash table with open addressing; a digest is its own hash.
// It is at most half full.
type digestTable struct {
	slots []uint64 // 0 where free; a power of two of them
	count int
}

const firstSlots = 1 << 10

func (t *digestTable) has(digest uint64) bool {
	if t.count == 0 {
		return false
	}
	return t.slots[t.place(digest)] == digest
}

// place returns where digest is, or where it belongs.
func (t *digestTable) place(digest uint64) uint64 {
	mask := uint64(len(t.slots) - 1)
	i := digest & mask
	for t.slots[i] != 0 && t.slots[i] != digest {
		i = (i + 1) & mask
	}
	return i
}

func (t *digestTable) add(digest uint64) {
	if 2*(t.count+1) > len(t.slots) {
		before := t.slots
		t.slots = make([]uint64, max(firstSlots, 2*len(before)))
		for _, known := range before {
			if known != 0 {
				t.slots[t.place(known)] = known
			}
		}
	}
	t.slots[t.place(digest)] = digest
	t.count++
}
