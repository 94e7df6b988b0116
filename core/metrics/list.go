package metrics

import "github.com/umbra-proxy/umbra/core"

// Metrics of the process and of the file that it runs.
var (
	BuildInfo   = &core.Metric{Name: "umbra_build_info", Kind: core.Gauge, Help: "1; the version and the Go release are labels", Labels: []string{"version", "go"}}
	StartTime   = &core.Metric{Name: "umbra_start_time_seconds", Kind: core.Gauge, Help: "when the process started, as Unix time"}
	Reloads     = &core.Metric{Name: "umbra_config_reloads_total", Kind: core.Counter, Help: "reloads of the file, by result: ok or refused", Labels: []string{"result"}}
	LastReload  = &core.Metric{Name: "umbra_config_last_reload_success_timestamp_seconds", Kind: core.Gauge, Help: "when the file that is served was taken over, as Unix time"}
	Generations = &core.Metric{Name: "umbra_config_generations", Kind: core.Gauge, Help: "files that have connections: more than 1 while an older one serves out its own"}
)

// Metrics of inbounds.
var (
	Accepted          = &core.Metric{Name: "umbra_inbound_accepted_total", Kind: core.Counter, Help: "clients that connected, or whose first datagram came", Labels: []string{"inbound", "network"}}
	Handshakes        = &core.Metric{Name: "umbra_inbound_handshakes", Kind: core.Gauge, Help: "connections whose request is not known yet, or that are still being refused", Labels: []string{"inbound"}}
	HandshakeFailures = &core.Metric{Name: "umbra_inbound_handshake_failures_total", Kind: core.Counter, Help: "connections whose first bytes made no request, by reason as in the log", Labels: []string{"inbound", "reason"}}
	HandshakeSeconds  = &core.Metric{Name: "umbra_inbound_handshake_seconds", Kind: core.Histogram, Help: "time from the accept until the request was known", Labels: []string{"inbound"}}
	ProbeBytes        = &core.Metric{Name: "umbra_inbound_probe_bytes", Kind: core.Histogram, Help: "bytes that clients had sent when their handshake failed", Labels: []string{"inbound", "reason"}}
	ClockOffset       = &core.Metric{Name: "umbra_peer_clock_offset_seconds", Kind: core.Histogram, Help: "by how much peers' clocks differ from this machine's, without the sign, in whole seconds", Labels: []string{"cipher"}}
	CipherTrials      = &core.Metric{Name: "umbra_cipher_trials_total", Kind: core.Counter, Help: "searches for a user by trying keys, where those last seen at the address did not fit, by whether one was found", Labels: []string{"cipher", "found"}}
)

// Metrics of pipelines.
var (
	Connections       = &core.Metric{Name: "umbra_connections", Kind: core.Gauge, Help: "streams (tcp) and associations (udp) that are being served", Labels: []string{"pipeline", "network"}}
	ConnectionsTotal  = &core.Metric{Name: "umbra_connections_total", Kind: core.Counter, Help: "connections that have ended, by reason; ok for an orderly end", Labels: []string{"pipeline", "network", "result"}}
	ConnectionSeconds = &core.Metric{Name: "umbra_connection_seconds", Kind: core.Histogram, Help: "time from the request to the end, of connections that were served", Labels: []string{"pipeline"}}
	FirstByteSeconds  = &core.Metric{Name: "umbra_first_byte_seconds", Kind: core.Histogram, Help: "time from the request until the first bytes came back", Labels: []string{"pipeline"}}
	Bytes             = &core.Metric{Name: "umbra_bytes_total", Kind: core.Counter, Help: "payload that was relayed, up to targets and down to clients", Labels: []string{"pipeline", "network", "direction"}}
	DatagramsDropped  = &core.Metric{Name: "umbra_datagrams_dropped_total", Kind: core.Counter, Help: "datagrams that were not passed on, by reason as in the log", Labels: []string{"pipeline", "reason"}}
)

// Metrics of outbounds, routes and groups.
var (
	Dials               = &core.Metric{Name: "umbra_dials_total", Kind: core.Counter, Help: "streams that an outbound was asked to open, by result", Labels: []string{"outbound", "result"}}
	DialSeconds         = &core.Metric{Name: "umbra_dial_seconds", Kind: core.Histogram, Help: "time until an outbound had opened a stream", Labels: []string{"outbound"}}
	RouteDecisions      = &core.Metric{Name: "umbra_route_decisions_total", Kind: core.Counter, Help: `requests by the rule that decided, or "otherwise"`, Labels: []string{"route", "rule"}}
	GroupMemberUp       = &core.Metric{Name: "umbra_group_member_up", Kind: core.Gauge, Help: "1 if the member is taken to work, 0 if it is not", Labels: []string{"group", "member"}}
	GroupMemberSelected = &core.Metric{Name: "umbra_group_member_selected", Kind: core.Gauge, Help: "1 for the member that requests go through, in groups that have one for all", Labels: []string{"group", "member"}}
	GroupSwitches       = &core.Metric{Name: "umbra_group_switches_total", Kind: core.Counter, Help: "changes of the selected member", Labels: []string{"group"}}
)

// Metrics of policies and their stores.
var (
	PolicyRefusals = &core.Metric{Name: "umbra_policy_refusals_total", Kind: core.Counter, Help: "clients and requests that a policy refused, by reason", Labels: []string{"policy", "reason"}}
	Bans           = &core.Metric{Name: "umbra_bans", Kind: core.Gauge, Help: "addresses and networks that are banned", Labels: []string{"policy"}}
	BansTotal      = &core.Metric{Name: "umbra_bans_total", Kind: core.Counter, Help: "bans that were made, by reason", Labels: []string{"policy", "reason"}}
	StoreUp        = &core.Metric{Name: "umbra_store_up", Kind: core.Gauge, Help: "1 if the store of a policy answers, 0 if it is away", Labels: []string{"policy"}}
	StoreLag       = &core.Metric{Name: "umbra_store_lag_seconds", Kind: core.Gauge, Help: "age of the oldest write that the store has not taken", Labels: []string{"policy"}}
)

// Metrics of resolvers and transports.
var (
	ResolverQueries     = &core.Metric{Name: "umbra_resolver_queries_total", Kind: core.Counter, Help: "queries to name servers, by result: ok, missing, error, timeout, failed or cancelled", Labels: []string{"resolver", "server", "result"}}
	ResolverCacheHits   = &core.Metric{Name: "umbra_resolver_cache_hits_total", Kind: core.Counter, Help: "lookups that the cache answered", Labels: []string{"resolver"}}
	ResolverSeconds     = &core.Metric{Name: "umbra_resolver_seconds", Kind: core.Histogram, Help: "time until a name server answered", Labels: []string{"resolver", "server"}}
	CertificateNotAfter = &core.Metric{Name: "umbra_certificate_not_after_timestamp_seconds", Kind: core.Gauge, Help: "when the certificate that a transport shows ends, as Unix time", Labels: []string{"transport"}}
	QuotaUserBytes      = &core.Metric{Name: "umbra_user_quota_bytes", Kind: core.Gauge, Help: "what a user may use in the period; with users = true", Labels: []string{"policy", "user"}}
	QuotaUserUsed       = &core.Metric{Name: "umbra_user_quota_used_bytes", Kind: core.Gauge, Help: "what a user has used in the period, on all nodes; with users = true", Labels: []string{"policy", "user"}}
	UserBytes           = &core.Metric{Name: "umbra_user_bytes_total", Kind: core.Counter, Help: "payload of a user; with users = true", Labels: []string{"user", "direction"}}
	UserConnections     = &core.Metric{Name: "umbra_user_connections", Kind: core.Gauge, Help: "connections of a user that are being served; with users = true", Labels: []string{"user"}}
	SeriesNotShown      = &core.Metric{Name: "umbra_series_not_shown", Kind: core.Gauge, Help: "users that have no series because there are more than max_users"}
	EventReadersDropped = &core.Metric{Name: "umbra_event_readers_dropped_total", Kind: core.Counter, Help: "readers of events that did not read and were dropped"}
)

// All returns all metrics of the project, in the order of the documentation.
func All() []*core.Metric {
	return []*core.Metric{
		BuildInfo, StartTime, Reloads, LastReload, Generations,
		Accepted, Handshakes, HandshakeFailures, HandshakeSeconds, ProbeBytes, ClockOffset, CipherTrials,
		Connections, ConnectionsTotal, ConnectionSeconds, FirstByteSeconds, Bytes, DatagramsDropped,
		Dials, DialSeconds, RouteDecisions, GroupMemberUp, GroupMemberSelected, GroupSwitches,
		PolicyRefusals, Bans, BansTotal, StoreUp, StoreLag,
		ResolverQueries, ResolverCacheHits, ResolverSeconds, CertificateNotAfter,
		UserBytes, UserConnections, QuotaUserBytes, QuotaUserUsed, SeriesNotShown, EventReadersDropped,
	}
}

// Short are bounds for what takes from a millisecond to a minute, in seconds.
func Short() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}

// Offsets are bounds for how far clocks are apart, in whole seconds. Protocols with clocks
// refuse what is above 30.
func Offsets() []float64 {
	return []float64{0, 1, 2, 5, 10, 15, ClockOff, 25, 30, 60, 300, 3600}
}

// ClockOff is an offset of clocks that is to be corrected before it breaks connections.
const ClockOff = 20

// Long are bounds for what may take days, in seconds.
func Long() []float64 {
	return []float64{.01, .1, 1, 10, 60, 300, 1800, 6 * 3600, 24 * 3600}
}
