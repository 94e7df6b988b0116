// Package probe tests a Shadowsocks server from outside, as an active prober
// does: it sends what is no request, or a request that was recorded or damaged,
// and compares how the server ends each connection. A server that hides shows one
// reaction to all of it.
//
// What is sent is planned before anything is, so that its bounds are known. Run
// records what happened. Judge looks at the records alone.
package probe

import "time"

// A Family is a group of probes that ask the same question.
type Family string

// The families, in the order in which they are shown.
const (
	Random    Family = "random"            // random bytes of many lengths
	Opening   Family = "opening"           // the first bytes of another protocol
	Slow      Family = "byte by byte"      // random bytes, one at a time
	Late      Family = "late"              // random bytes after a pause
	Flood     Family = "flood"             // many random bytes
	Replay    Family = "replay"            // a recorded first flight as it was
	Altered   Family = "altered recording" // a recorded first flight with bytes changed
	Damaged   Family = "damaged request"   // a new first flight with a byte changed
	Cut       Family = "cut request"       // the beginning of a new first flight
	Datagram  Family = "datagram"          // random bytes over UDP
	DgDamaged Family = "damaged datagram"  // a sealed datagram with a byte changed
	DgReplay  Family = "replayed datagram" // a sealed datagram that was answered before
)

// families lists them all.
func families() []Family {
	return []Family{Random, Opening, Slow, Late, Flood, Replay, Altered, Damaged, Cut, Datagram, DgDamaged, DgReplay}
}

// packets reports whether the family is sent over UDP.
func (f Family) packets() bool { return f == Datagram || f == DgDamaged || f == DgReplay }

// A Finish is what the prober does after its bytes.
type Finish string

// The finishes.
const (
	Open Finish = "open" // keeps its side open and waits
	FIN  Finish = "FIN"  // ends its side
)

// An End is how a connection ended.
type End string

// The ends.
const (
	EndOpen  End = "still open" // at the end of the wait
	EndFIN   End = "FIN"
	EndRST   End = "RST"
	EndData  End = "much data"     // more than is read of a server
	EndLost  End = "lost"          // the network failed on the way
	EndNever End = "not connected" // there was no connection
)

// judged reports whether the end tells something of the server.
func (e End) judged() bool { return e != EndLost && e != EndNever }

// A Probe is one connection, or datagram, that is to be made.
type Probe struct {
	Family Family
	Name   string // what distinguishes it in its family beside Size, or ""
	Size   int    // bytes to be sent, at most
	Finish Finish

	at    []int         // which bytes are changed
	bytes []byte        // of an Opening
	pause time.Duration // before the bytes; of Slow, before each
}

// A Record is what came of a probe.
type Record struct {
	Probe
	Sent    int // bytes, as far as the kernel took them
	End     End
	Data    int           // bytes that the server sent
	Connect time.Duration // how long the connection took to be made
	After   time.Duration // from the connection's beginning to its end
	Quiet   time.Duration // from the last byte or FIN sent, if any, to the end
	Err     string        // why it is lost or was not connected
	Unsure  bool          // it stood alone, and a repetition did not confirm it
}

// Config is what a plan is made for.
type Config struct {
	Server    string        // host:port
	Key       *Key          // nil without
	Wait      time.Duration // after the last byte of a connection, at most
	Parallel  int           // connections side by side
	Quick     bool          // a smaller set
	Packets   bool          // UDP too
	Tolerance time.Duration // between times that count as the same; 0 means 300 ms
	Pace      time.Duration // between the bytes of Slow; 0 means 30 ms
}

const (
	defaultTolerance = 300 * time.Millisecond // what networks do to equal times
	defaultPace      = 30 * time.Millisecond
)

// tolerance returns how far times that count as the same may be apart.
func (c Config) tolerance() time.Duration {
	if c.Tolerance > 0 {
		return c.Tolerance
	}
	return defaultTolerance
}

func (c Config) pace() time.Duration {
	if c.Pace > 0 {
		return c.Pace
	}
	return defaultPace
}

// atOnce returns how soon an end comes that no timer caused.
func (c Config) atOnce() time.Duration { return min(time.Second, c.Wait/8) }
