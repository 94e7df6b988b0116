package group

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// Status is what a group tells of its members.
type Status struct {
	Members []MemberStatus `json:"members"`
}

// MemberStatus is what a group tells of a member.
type MemberStatus struct {
	Name     string    `json:"name"`
	State    string    `json:"state"`              // "in", "out", or "trial": out, and requests may try it
	Serves   bool      `json:"serves,omitempty"`   // requests go through it
	Since    time.Time `json:"since,omitzero"`     // of the state, once it has changed
	Reason   string    `json:"reason,omitempty"`   // why it is out
	Failures int       `json:"failures"`           // in a row
	Delay    float64   `json:"delay_ms,omitempty"` // in milliseconds, if it was measured
	Running  int       `json:"running"`            // connections and associations
}

// Status returns the state of the members.
func (g *Group) Status() Status {
	var s Status
	now := time.Now()
	for _, m := range g.members {
		delay, _ := m.Delay()
		st := MemberStatus{Name: m.name, State: "in", Serves: g.current.Load() == m, Running: m.Running(), Delay: float64(delay.Microseconds()) / 1000}
		h := m.health
		h.mu.Lock()
		st.Since, st.Failures = h.since, h.failures
		if h.out.Load() {
			st.State, st.Reason = "out", h.reason
			if !now.Before(h.until) {
				st.State = "trial"
			}
		}
		h.mu.Unlock()
		s.Members = append(s.Members, st)
	}
	return s
}

// Command answers "list" with the state of the members. A kind with further commands has a
// Command of its own.
func (g *Group) Command(_ context.Context, words []string) (any, error) {
	if len(words) == 0 || len(words) == 1 && words[0] == "list" {
		return g.Status(), nil
	}
	return nil, fmt.Errorf("want list, got %q; members are chosen in groups of kind select", strings.Join(words, " "))
}

// String returns a table for people.
func (s Status) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "member\tstate\tdelay\trunning")
	for _, m := range s.Members {
		name, delay := m.Name, "-"
		if m.Serves {
			name += " *"
		}
		if m.Delay > 0 {
			delay = fmt.Sprintf("%.1fms", m.Delay)
		}
		state := m.State
		if m.State != "in" {
			state = fmt.Sprintf("%s since %s: %s", m.State, m.Since.Format(time.TimeOnly), m.Reason)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", name, state, delay, m.Running)
	}
	w.Flush()
	return strings.TrimRight(b.String(), "\n")
}
