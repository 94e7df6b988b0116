package limit

import (
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// meter measures one flow.
type meter struct {
	users *users
	user  *user // nil for a request without a user name

	up, down       share // of the user's bandwidth
	allUp, allDown share // of the bandwidth of all users
}

var _ core.Meter = (*meter)(nil)

// Take counts bytes. It returns an error, which ends the flow, if they exhaust the
// user's quota.
func (m *meter) Take(up, down int) (time.Duration, error) {
	u, us := m.user, m.users
	shaped := us.up.on.Load() || us.down.on.Load()
	if u != nil {
		u.own.Add(int64(up) + int64(down))
		if u.isSpent() {
			us.mu.Lock()
			defer us.mu.Unlock()
			return 0, us.spent(u)
		}
		shaped = shaped || u.up.on.Load() || u.down.on.Load()
	}
	if !shaped {
		return 0, nil
	}
	now := time.Now()
	wait := max(us.up.take(&m.allUp, up, now), us.down.take(&m.allDown, down, now))
	if u != nil {
		wait = max(wait, u.up.take(&m.up, up, now), u.down.take(&m.down, down, now))
	}
	return wait, nil
}
