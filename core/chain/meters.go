package chain

import (
	"sync/atomic"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// Direction is the way of datagrams.
type Direction int

// The directions.
const (
	Up   Direction = iota // to the target
	Down                  // to the client
)

// Meters are the meters of a branch of an association, which no relay asks. The zero Meters
// are ready.
type Meters struct {
	pauses [2]atomic.Int64 // until when nothing passes, by Direction, in Unix nanoseconds
}

// Take has the meters of the branch's flow count datagrams, and reports whether these may
// pass. Nothing here may wait, so while a meter asks for a wait they are dropped. An error is
// that of a meter, which ends the branch.
func (m *Meters) Take(f *core.Flow, ps []core.Packet, d Direction) (bool, error) {
	pause := &m.pauses[d]
	if until := pause.Load(); until != 0 && time.Now().UnixNano() < until {
		f.Drop(core.DropPaused, len(ps))
		return false, nil
	}
	bytes := [2]int{}
	for i := range ps {
		bytes[d] += len(ps[i].Data)
	}
	wait, err := f.Take(bytes[Up], bytes[Down])
	if wait > 0 {
		pause.Store(time.Now().Add(wait).UnixNano())
	}
	return err == nil, err
}
