package ssh

import "time"

// keepAliveMisses is how many times in a row the server may be silent for the time of a
// keepalive request.
const keepAliveMisses = 3

// watch sends a request whenever the server has been silent for the time every, and ends the
// session if the server stays silent: at most five times every after its last byte.
// Any byte from the server counts, so that a reply that waits behind much else is no loss.
func (s *session) watch(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	answered := make(chan struct{}, 1)
	asking, missed := false, 0
	for {
		select {
		case <-s.done:
			return
		case <-answered:
			asking = false
			continue
		case <-ticker.C:
		}
		switch {
		case s.wire.heard.Swap(false):
			missed = 0
			continue
		case !asking:
			asking = s.run(func() {
				_, _, _ = s.conn.SendRequest("keepalive@openssh.com", true, nil) // any answer will do
				answered <- struct{}{}
			})
			continue
		}
		if missed++; missed >= keepAliveMisses {
			s.end(errSilent)
			return
		}
	}
}
