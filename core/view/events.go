package view

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/metrics"
)

const (
	every      = time.Second      // between two snapshots
	maxBehind  = 4                // snapshots that wait for a reader, which is dropped then
	writeLimit = 10 * time.Second // of one write to a reader
)

// hub makes one snapshot a second for all readers, and none while there are none.
type hub struct {
	source Source
	quit   chan struct{} // closed by close

	mu      sync.Mutex
	readers map[*reader]bool // guarded by mu, as all that follows
	dropped int              // readers that did not read
	closed  bool
	running bool
}

// reader is one client of the stream.
type reader struct {
	snapshots chan []byte // closed when the reader is dropped
}

// join adds a reader, or returns nil if there are as many as may be.
func (h *hub) join(most int) *reader {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.readers) >= most {
		return nil
	}
	if h.readers == nil {
		h.readers = map[*reader]bool{}
	}
	r := &reader{make(chan []byte, maxBehind)}
	h.readers[r] = true
	if !h.running {
		h.running = true
		go h.run()
	}
	return r
}

func (h *hub) leave(r *reader) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.readers, r)
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.closed = true
	close(h.quit)
	for r := range h.readers {
		h.drop(r)
	}
}

// drop ends a reader. mu is held.
func (h *hub) drop(r *reader) {
	delete(h.readers, r)
	close(r.snapshots)
}

// run makes snapshots until the last reader has left.
func (h *hub) run() {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for h.send() {
		select {
		case <-tick.C:
		case <-h.quit:
		}
	}
}

// send sends a snapshot to all readers. It reports false once there are none.
func (h *hub) send() bool {
	h.mu.Lock()
	if len(h.readers) == 0 {
		h.running = false
		h.mu.Unlock()
		return false
	}
	h.mu.Unlock()
	data, err := json.Marshal(h.source.Snapshot())
	if err != nil {
		return true // no snapshot can't be written as JSON
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for r := range h.readers {
		select {
		case r.snapshots <- data:
		default:
			h.dropped++
			h.drop(r)
		}
	}
	return true
}

// events streams snapshots, and journeys if they are asked for.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	f, err := s.filterOf(r.URL.Query())
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	in := s.hub.join(s.options.Readers)
	if in == nil {
		refuse(w, http.StatusServiceUnavailable, "as many read events as may; see readers in [admin]")
		return
	}
	defer s.hub.leave(in)
	var journeys <-chan Journey
	if r.URL.Query().Get("journeys") != "" {
		follower := s.source.Follow(f)
		defer follower.Close()
		journeys = follower.Journeys()
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // of nginx
	out := stream{w, http.NewResponseController(w)}
	ok := out.begin()
	for ok {
		select {
		case <-r.Context().Done():
			return
		case data, open := <-in.snapshots:
			ok = open && out.write("snapshot", data)
		case j, open := <-journeys:
			if !open {
				s.hub.lost()
				return
			}
			s.hideUser(&j)
			data, err := json.Marshal(j)
			ok = err == nil && out.write("journey", data)
		}
	}
}

// lost counts a reader that did not read.
func (h *hub) lost() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropped++
}

// stream writes events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (s stream) begin() bool {
	_, err := s.w.Write([]byte(": umbra\n\n"))
	return err == nil && s.control.Flush() == nil
}

// write writes an event. It reports false if the reader has gone or does not read.
func (s stream) write(event string, data []byte) bool {
	if s.control.SetWriteDeadline(time.Now().Add(writeLimit)) != nil {
		return false
	}
	for _, part := range [][]byte{[]byte("event: " + event + "\ndata: "), data, []byte("\n\n")} {
		if _, err := s.w.Write(part); err != nil {
			return false
		}
	}
	return s.control.Flush() == nil
}

// Measure passes on the figures of the door itself.
func (s *Server) Measure(yield func(core.Figure)) {
	s.hub.mu.Lock()
	n := s.hub.dropped
	s.hub.mu.Unlock()
	yield(core.Figure{Metric: metrics.EventReadersDropped, Value: float64(n)})
}
