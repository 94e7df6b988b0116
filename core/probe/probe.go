// Package probe tests a Shadowsocks server from outside, as an active prober does:
// it sends invalid, recorded and damaged requests, and compares how the server ends
// each connection. A server that hides has one reaction to all of them.
//
// The plan is complete before anything is sent, so that its cost is known. Run
// records what happened. Judge works on the records alone.
package probe

import "time"

// A Family is a group of probes that test the same property.
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

// families returns all families in the order in which they are shown.
func families() []Family {
	return []Family{Random, Opening, Slow, Late, Flood, Replay, Altered, Damaged, Cut, Datagram, DgDamaged, DgReplay}
}

// packets reports whether the family is sent over UDP.
func (f Family) packets() bool { return f == Datagram || f == DgDamaged || f == DgReplay }

// A Finish is what the prober does after the bytes of a probe.
type Finish string

// The finishes.
const (
	Open Finish = "open" // the prober keeps its side open and waits
	FIN  Finish = "FIN"  // the prober closes its side
)

// An End is how a connection ended.
type End string

// The ends.
const (
	EndOpen  End = "still open" // at the end of the wait
	EndFIN   End = "FIN"
	EndRST   End = "RST"
	EndData  End = "much data"     // more than maxData
	EndLost  End = "lost"          // the network failed during the connection
	EndNever End = "not connected" // connecting failed
)

// judged reports whether the end is evidence about the server.
func (e End) judged() bool { return e != EndLost && e != EndNever }

// A Probe is one planned connection or datagram.
type Probe struct {
	Family Family
	Name   string // distinguishes probes of one family and Size, or ""
	Size   int    // bytes to be sent, at most
	Finish Finish

	at    []int         // indexes of the changed bytes
	bytes []byte        // of an Opening
	pause time.Duration // before the bytes; of Slow, before each
}

// A Record is the outcome of a probe.
type Record struct {
	Probe
	Sent    int // bytes, as many as the kernel accepted
	End     End
	Data    int           // bytes that the server sent
	Connect time.Duration // time to connect
	After   time.Duration // from the connection's beginning to its end
	Quiet   time.Duration // from the last byte or FIN sent, if any, to the end
	Err     string        // the error of EndLost and EndNever
	Unsure  bool          // the reaction was unusual, and a repetition did not confirm it
}

// Config is the input of a plan.
type Config struct {
	Server    string        // host:port
	Key       *Key          // nil to probe without a key
	Wait      time.Duration // after the last byte of a connection, at most
	Parallel  int           // concurrent connections
	Quick     bool          // a smaller set
	Packets   bool          // UDP too
	Tolerance time.Duration // between times that count as the same; 0 means 300 ms
	Pace      time.Duration // between the bytes of Slow; 0 means 30 ms
}

const (
	defaultTolerance = 300 * time.Millisecond // jitter of equal times on common networks
	defaultPace      = 30 * time.Millisecond
)

// tolerance returns the maximum difference of times that count as the same.
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

// atOnce returns the maximum delay of an end that is not caused by a timer.
func (c Config) atOnce() time.Duration { return min(time.Second, c.Wait/8) }
