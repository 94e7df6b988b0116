package core

// DropReason is why datagrams of an association were dropped, in one word for the log.
type DropReason string

// The reasons for Flow.Drop. Those before DropPaused are about what a client sends.
const (
	DropMalformed DropReason = "malformed" // not in the format of the protocol
	DropFragment  DropReason = "fragment"  // a fragment of SOCKS5
	DropStranger  DropReason = "stranger"  // from another address than the client's
	DropPaused    DropReason = "paused"    // a meter let nothing pass
	DropName      DropReason = "name"      // the target's name was not found
	DropCrowded   DropReason = "crowded"   // too many names at once
	DropDenied    DropReason = "denied"    // the outbound may not send to the target
	DropAuth      DropReason = "auth"      // a server's datagram that can't be opened
)

// OfClient reports whether the client's datagrams were at fault.
func (d DropReason) OfClient() bool {
	return d == DropMalformed || d == DropFragment || d == DropStranger
}

// Dropped is a number of datagrams that were dropped for one reason.
type Dropped struct {
	Reason DropReason
	Count  int
}

// Drop counts n dropped datagrams of an association. A flow that drops nothing costs
// nothing.
func (f *Flow) Drop(reason DropReason, n int) {
	if n <= 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.rarely()
	for i := range r.dropped {
		if r.dropped[i].Reason == reason {
			r.dropped[i].Count += n
			return
		}
	}
	r.dropped = append(r.dropped, Dropped{reason, n})
}

// Dropped returns how many datagrams were dropped, by reason.
func (f *Flow) Dropped() []Dropped {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rare == nil {
		return nil
	}
	return append([]Dropped(nil), f.rare.dropped...)
}
