package view

import (
	"time"

	"github.com/umbra-proxy/umbra/core/plan"
)

// Status is what the process says of itself: /api/v1/status.
type Status struct {
	Version    string    `json:"version"`
	PID        int       `json:"pid"`
	Started    time.Time `json:"started"`
	File       string    `json:"file"`
	Generation int       `json:"generation"` // how many files it has served, with this one
	Ready      bool      `json:"ready"`
	Reason     string    `json:"reason,omitempty"` // why it is not ready
	Write      bool      `json:"write"`            // requests may change something
	Users      bool      `json:"users"`            // names of users are shown
}

// Snapshot is what happens now: /api/v1/snapshot, and an event each second.
type Snapshot struct {
	Time       time.Time                 `json:"time"`
	Generation int                       `json:"generation"`
	Ready      bool                      `json:"ready"`
	Reason     string                    `json:"reason,omitempty"`
	Pipelines  []PipelineState           `json:"pipelines"`  // in the order of the file
	Components map[string]ComponentState `json:"components"` // by ID, such as "outbound.paris"
}

// PipelineState is what a pipeline does, in all generations of the file. Counts and bytes
// are since the start of the process.
type PipelineState struct {
	Name       string            `json:"name"`
	Streams    int               `json:"streams"`      // now
	UDP        int               `json:"associations"` // now
	Handshakes int               `json:"handshakes"`   // connections whose request is not known yet
	Accepted   uint64            `json:"accepted"`
	Up         int64             `json:"up"` // bytes, to targets
	Down       int64             `json:"down"`
	Ended      map[string]uint64 `json:"ended"` // connections that have ended, by reason; "ok" for an orderly end
}

// ComponentState is how a component fares.
type ComponentState struct {
	State       Health    `json:"state"`
	Connections int       `json:"connections"` // of an outbound, now
	Up          int64     `json:"up"`          // bytes of an outbound
	Down        int64     `json:"down"`
	Counts      []Count   `json:"counts,omitempty"` // what it counts, such as dials by result and refusals by reason
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	Members     []Member  `json:"members,omitempty"` // of a group
}

// Health is how a component fares.
type Health string

// The states. A component that has failed within a minute is bad if nothing has succeeded
// since, and else it has trouble.
const (
	OK      Health = "ok"
	Trouble Health = "trouble"
	Bad     Health = "bad"
)

// Count is a figure of a component.
type Count struct {
	Metric string            `json:"metric"` // such as "umbra_policy_refusals_total"
	Labels map[string]string `json:"labels,omitempty"`
	Value  float64           `json:"value"`
}

// Member is a member of a group.
type Member struct {
	Name    string    `json:"name"`
	State   string    `json:"state"`  // "in", "out", or "trial"
	Serves  bool      `json:"serves"` // new requests go through it
	Since   time.Time `json:"since,omitzero"`
	Reason  string    `json:"reason,omitempty"` // why it is out
	Delay   float64   `json:"delay_ms,omitempty"`
	Running int       `json:"running"`
}

// Connections is one page of live connections: /api/v1/connections.
type Connections struct {
	Total int          `json:"total"` // that match
	List  []Connection `json:"connections"`
}

// Connection is a stream or an association that is being served.
type Connection struct {
	ID         uint64    `json:"id"`
	Generation int       `json:"generation"`
	Pipeline   string    `json:"pipeline"`
	Inbound    string    `json:"inbound"`
	Network    string    `json:"network"` // "tcp" or "udp"
	Client     string    `json:"client"`
	User       string    `json:"user,omitempty"`
	Target     string    `json:"target,omitempty"` // "" for an association, which has many
	Path       []string  `json:"path"`             // the outbounds that it takes, with the branches chosen
	State      string    `json:"state"`            // "waiting", "promised" or "relaying"
	Since      time.Time `json:"since"`
	Up         int64     `json:"up"`
	Down       int64     `json:"down"`
}

// Journey is a connection that has ended, with each step on its way: /api/v1/journeys.
type Journey struct {
	Number   uint64    `json:"number"` // of the journey; later ones have higher numbers
	ID       uint64    `json:"id,omitempty"`
	Pipeline string    `json:"pipeline"`
	Inbound  string    `json:"inbound"`
	Network  string    `json:"network"`
	Client   string    `json:"client"` // cut to /24 or /48 unless whole addresses are asked for
	User     string    `json:"user,omitempty"`
	Target   string    `json:"target,omitempty"`
	Path     []string  `json:"path,omitempty"`
	Began    time.Time `json:"began"`
	Took     float64   `json:"took_ms"`
	Up       int64     `json:"up"`
	Down     int64     `json:"down"`
	Result   string    `json:"result"` // "ok", or why it ended, in a word
	Error    string    `json:"error,omitempty"`
	Steps    []Step    `json:"steps"`
}

// Step is a part of a journey. Kinds are "admit", "handshake", "rule", "resolve", "dial",
// "answer" (the first bytes came back) and "end".
type Step struct {
	Kind   string  `json:"kind"`
	Name   string  `json:"name,omitempty"`   // the component
	Detail string  `json:"detail,omitempty"` // what it chose or found
	At     float64 `json:"at_ms"`            // since the beginning of the journey
	Took   float64 `json:"took_ms"`
	Error  string  `json:"error,omitempty"`
}

// User is what is known of a user: /api/v1/users.
type User struct {
	Name        string    `json:"name"`
	Connections int       `json:"connections"` // now
	Up          int64     `json:"up"`          // bytes since the start of the process
	Down        int64     `json:"down"`
	LastSeen    time.Time `json:"last_seen,omitzero"`
	Used        int64     `json:"used"`            // bytes in the period of the quota
	Quota       int64     `json:"quota,omitempty"` // bytes; 0 for no quota
	Resets      time.Time `json:"resets,omitzero"` // the end of the period
}

// Ban is a client that is banned: /api/v1/bans.
type Ban struct {
	Policy   string    `json:"policy"` // its ID
	Client   string    `json:"client"` // an address or a range
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	Times    int       `json:"times"`
	Failures string    `json:"failures"` // why
	Refused  int64     `json:"refused"`
}

// Reload is an attempt to serve another file: /api/v1/reloads.
type Reload struct {
	Time       time.Time `json:"time"`
	Generation int       `json:"generation,omitempty"` // 0 if it was refused
	By         string    `json:"by"`                   // "start", "signal", "api" or "page"
	Mistakes   []string  `json:"mistakes,omitempty"`
	Change     *Change   `json:"change,omitempty"` // nil for the first file
}

// Change is what differs between the file that is served and another one.
type Change struct {
	Digest  string   `json:"digest"`  // of the new file; names it when it is applied
	Kept    []string `json:"kept"`    // listeners, such as "tcp 127.0.0.1:1080 (inbound.local)"
	Opened  []string `json:"opened"`  // listeners
	Closed  []string `json:"closed"`  // listeners
	Added   []string `json:"added"`   // components and pipelines, by ID
	Removed []string `json:"removed"` // components and pipelines
	Changed []Diff   `json:"changed"` // components and pipelines
	Warned  []string `json:"warnings,omitempty"`
}

// Diff is a component or a pipeline that another file has changed.
type Diff struct {
	ID      string   `json:"id"`
	Options []string `json:"options"` // the keys that differ
}

// Plan is the plan of the file that is served: /api/v1/plan. See docs/plan.md.
type Plan = plan.Plan

// Problem is an answer other than a success.
type Problem struct {
	Error string `json:"error"`
}
