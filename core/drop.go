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
	DropWaiting   DropReason = "waiting"   // too many before the way to the target was open
	DropDenied    DropReason = "denied"    // the outbound may not send to the target
	DropAuth      DropReason = "auth"      // what comes in place of a server's datagram: it can't be opened, or has another source

	DropLong        DropReason = "long"        // longer than a datagram, or the route, may be, headers of the protocol included
	DropSeal        DropReason = "seal"        // an answer that the protocol can't carry, such as one of another source
	DropFull        DropReason = "full"        // the socket's send buffer, or memory of the kernel, was full
	DropUnreachable DropReason = "unreachable" // the kernel does not send to the address
	DropUnproven    DropReason = "unproven"    // an answer over what a client may get whose address may be forged
)

// OfClient reports whether the client's datagrams were at fault.
func (d DropReason) OfClient() bool {
	return d == DropMalformed || d == DropFragment || d == DropStranger
}

// Dropped is a number of datagrams that were dropped for one reason at one place.
type Dropped struct {
	Reason    DropReason
	AtInbound bool // on the way from or to the client, not at an outbound
	Count     int
}

// A DropObserver is an Observer that is notified of dropped datagrams too.
type DropObserver interface {
	Observer
	// ObserveDrops is called every few seconds while an association drops datagrams, and
	// before its end, with those that were dropped since the last call. It must not block.
	ObserveDrops(Drops)
}

// Drops are datagrams that an association has dropped.
type Drops struct {
	Pipeline string
	Client   Client
	Path     []string // as in Event
	Dropped  []Dropped
}

// Drop counts n dropped datagrams of an association. A flow that drops nothing costs
// nothing, and a nil flow counts nothing.
func (f *Flow) Drop(reason DropReason, n int) { f.drop(reason, reason.OfClient(), n) }

// DropAnswers is Drop for answers that an inbound could not send to the client.
func (f *Flow) DropAnswers(reason DropReason, n int) { f.drop(reason, true, n) }

func (f *Flow) drop(reason DropReason, atInbound bool, n int) {
	if f == nil || n <= 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.rarely()
	if r.whole != nil {
		r.whole.drop(reason, atInbound, n)
		return
	}
	for i := range r.dropped {
		if r.dropped[i].Reason == reason && r.dropped[i].AtInbound == atInbound {
			r.dropped[i].Count += n
			return
		}
	}
	r.dropped = append(r.dropped, Dropped{reason, atInbound, n})
}

// TakeDropped returns how many datagrams were dropped since the last call, by reason. The
// handler of the association calls it.
func (f *Flow) TakeDropped() []Dropped {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rare == nil {
		return nil
	}
	ds := f.rare.dropped
	f.rare.dropped = nil
	return ds
}
