package balance

import (
	"math"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/outbound/group"
)

// same picks the same member for the same key each time, on every machine and after every
// restart. When a member is out, its keys alone move.
type same struct {
	balance
	key func(r *core.Request) uint64
}

// Pick returns the member with the highest score for the request's key: each member has its
// share of the keys (rendezvous hashing, weighted).
func (s *same) Pick(q group.Question, members []*group.Member) int {
	key := s.key(q.Request)
	best, score := 0, math.Inf(-1)
	for i, m := range members {
		h := mix(hash(hashStart, m.Name()) ^ key)
		part := (float64(h>>11) + 0.5) / (1 << 53) // between 0 and 1
		if sc := -float64(s.weight(m)) / math.Log(part); sc > score {
			best, score = i, sc
		}
	}
	return best
}

// byClient returns the key of the client's address, of the /64 for IPv6.
func byClient(r *core.Request) uint64 {
	addr := r.Client.Addr.Addr()
	if !addr.IsValid() {
		return hashStart
	}
	h := uint64(hashStart)
	for _, b := range core.SourceOf(addr).Addr().As16() {
		h = (h ^ uint64(b)) * hashPrime
	}
	return mix(h)
}

// byUser returns the key of the user, or of the client where there is none.
func byUser(r *core.Request) uint64 {
	if r.User == "" {
		return byClient(r)
	}
	return mix(hash(hashStart, r.User))
}

// byTarget returns the key of the target's host, or of the client for an association.
func byTarget(r *core.Request) uint64 {
	switch {
	case r.Network == core.UDP || !r.Target.IsValid():
		return byClient(r)
	case r.Target.Name() != "":
		return mix(hash(hashStart, strings.ToLower(strings.TrimSuffix(r.Target.Name(), "."))))
	}
	h := uint64(hashStart)
	for _, b := range r.Target.IP().As16() {
		h = (h ^ uint64(b)) * hashPrime
	}
	return mix(h)
}

// FNV-1a, 64 bits.
const (
	hashStart = 14695981039346656037
	hashPrime = 1099511628211
)

// hash adds a text to a hash.
func hash(h uint64, text string) uint64 {
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * hashPrime
	}
	return h
}

// mix spreads a hash over all bits, as the end of splitmix64 does.
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
