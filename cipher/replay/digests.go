package replay

import (
	"hash/maphash"
	"sync"
)

// Digests is a bounded set of salts for messages that are too many for a Salts. It
// keeps 64 bits of a keyed hash of each salt. A new salt matches an old one about once
// in 10¹³, and an attacker can't provoke that, because the key is random and secret.
// The set keeps the last size to 2×size salts, in at most 32 bytes each.
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
	if digest == 0 { // 0 marks a free slot
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

// Len returns the number of salts in the set.
func (d *Digests) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now.count + d.old.count
}

// digestTable is a hash table with open addressing; a digest is its own hash.
// It is at most half full.
type digestTable struct {
	slots []uint64 // 0 marks a free slot; the length is a power of two
	count int
}

const firstSlots = 1 << 10

func (t *digestTable) has(digest uint64) bool {
	if t.count == 0 {
		return false
	}
	return t.slots[t.place(digest)] == digest
}

// place returns the index of digest, or of the free slot for it.
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
