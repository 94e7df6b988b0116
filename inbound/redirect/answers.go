package redirect

import (
	"container/list"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/netio"
)

// answers are the sockets from which answers are sent, one for each address of a target.
// They belong to the process, as sessions do.
type answers struct {
	failed core.Alarm // for sockets that can't be opened

	mu      sync.Mutex
	log     *slog.Logger // guarded by mu, as all that follows
	max     int
	holders int                              // generations
	all     map[netip.AddrPort]*list.Element // of recent, by source
	recent  *list.List                       // of answerer, the one that was used the longest ago first
}

type answerer struct {
	at     netip.AddrPort
	socket *netio.UDPSocket
}

func newAnswers() *answers {
	return &answers{all: map[netip.AddrPort]*list.Element{}, recent: list.New()}
}

// hold has the sockets kept until release, as many as most.
func (as *answers) hold(most int, log *slog.Logger) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.holders++
	as.max, as.log = most, log
}

// release closes all sockets if nobody else holds them.
func (as *answers) release() {
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.holders--; as.holders > 0 {
		return
	}
	for as.recent.Len() > 0 {
		as.dropOldest()
	}
}

// dropOldest closes the socket that was used the longest ago. as.mu is held.
func (as *answers) dropOldest() {
	oldest := as.recent.Remove(as.recent.Front()).(answerer)
	delete(as.all, oldest.at)
	_ = oldest.socket.Close()
}

// errNoSource is the error of an answer that has no address to be sent from.
var errNoSource = errors.New("an answer from a name")

// socket returns the socket of a source.
func (as *answers) socket(source core.Addr) (*netio.UDPSocket, error) {
	at := source.AddrPort()
	if !at.IsValid() {
		return nil, errNoSource
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	if known := as.all[at]; known != nil {
		as.recent.MoveToBack(known)
		return known.Value.(answerer).socket, nil
	}
	if as.holders == 0 {
		return nil, core.ErrShutdown
	}
	for as.recent.Len() >= as.max {
		as.dropOldest()
	}
	udp, err := netio.ListenUDPWith(at, netio.SocketOptions{Transparent: true})
	if err != nil {
		if count, say := as.failed.Count(time.Now()); say {
			as.log.Warn("answers dropped: no socket with the address of their target", slog.Any("source", at), slog.Any("err", err), slog.Int("answers", count))
		}
		return nil, err
	}
	as.all[at] = as.recent.PushBack(answerer{at, udp})
	return udp, nil
}
