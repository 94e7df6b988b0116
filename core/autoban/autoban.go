// Package autoban finds failed handshakes in the lines of a log, counts them for
// each client, and makes nftables drop the packets of clients with too many. It
// replaces the script of that name of the Python original, which has neither a
// window nor an expiry of bans.
package autoban

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strconv"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

const (
	// Phrase is what the Python original logs for a client whose first bytes are not a
	// valid request; the client's address and port follow, and end the line.
	Phrase = "can not parse header when handling connection from"
	// Message is what umbra logs for a failed handshake.
	Message = "handshake failed"
	// PythonTime is the format of a line's time in the Python original. It is local time.
	PythonTime = "2006-01-02 15:04:05"
)

// A Failure is a failed handshake that a log line reports.
type Failure struct {
	At     time.Time    // time of the line, or the zero Time if it has none
	Client netip.Prefix // an IPv4 address, or the /64 of an IPv6 address
	Minor  bool         // ten of them count as one: cut connections and misdirected clients cause it too
}

// Parse parses a line of umbra, in any of its formats, or of the Python original. It
// returns false for a line that reports no failed handshake, and for one whose failure
// is no evidence against the client: a wrong clock, a target that a policy denied, or
// a mistake of an authenticated client.
//
// The client is parsed from the end of the line only, or from its field in a JSON
// line: everything that a client can choose stands elsewhere, in quotes. Parse keeps
// no part of line.
func Parse(line []byte) (Failure, bool) {
	line = bytes.TrimRight(line, " \t\r\n")
	if len(line) > 0 && line[0] == '{' {
		return parseJSON(line)
	}
	i := bytes.LastIndex(line, []byte(Phrase+" "))
	if i < 0 {
		return Failure{}, false
	}
	reason, ok := marked(line[:i])
	if !ok {
		return Failure{}, false
	}
	client, ok := parseClient(line[i+len(Phrase)+1:])
	return Failure{At: timeOf(line), Client: client, Minor: isMinor(reason)}, ok
}

// marked reports whether head, the part of a line before Phrase, belongs to a line
// that counts: an error of the Python original, which has no reason, or a failed
// handshake of umbra.
func marked(head []byte) (reason string, ok bool) {
	if before, ok := bytes.CutSuffix(head, []byte("; ")); ok {
		if _, attrs, found := bytes.Cut(before, []byte(" "+Message+" ")); found {
			return blames(attrs)
		}
		return "", false
	}
	level := bytes.TrimRight(head, " ")
	return "", len(level) < len(head) && bytes.HasSuffix(level, []byte("ERROR"))
}

// blames reports whether the attributes of a line of umbra count against the client.
// The reason and authenticated precede all attributes that a client can choose.
func blames(attrs []byte) (reason string, ok bool) {
	_, rest, found := bytes.Cut(append([]byte(" "), attrs...), []byte(" reason="))
	word, rest, _ := bytes.Cut(rest, []byte(" "))
	reason = string(word)
	return reason, !found || !excused(reason) && !bytes.HasPrefix(rest, []byte("authenticated=true"))
}

// isMinor reports whether a reason is weak evidence, as it is for policy.ban.
func isMinor(reason string) bool {
	return reason == "short" || reason == "malformed" || reason == "other"
}

// excused reports whether a reason occurs without an attack.
func excused(reason string) bool {
	return reason == "clock" || reason == "denied" || reason == "crowded" || reason == "proxy_header"
}

// parseClient reads ADDRESS:PORT, where an IPv6 address may have its brackets.
func parseClient(text []byte) (netip.Prefix, bool) {
	i := bytes.LastIndexByte(text, ':')
	if i < 0 {
		return netip.Prefix{}, false
	}
	host, port := string(text[:i]), string(text[i+1:])
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return netip.Prefix{}, false
	}
	if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	ip, err := netip.ParseAddr(host)
	return clientOf(ip), err == nil
}

// clientOf returns the prefix that counts as one client.
func clientOf(ip netip.Addr) netip.Prefix { return core.SourceOf(ip.Unmap().WithZone("")) }

// parseJSON reads a line of the format json.
func parseJSON(line []byte) (Failure, bool) {
	var l struct {
		Time          time.Time
		Msg           string
		Client        netip.AddrPort
		Reason        string
		Authenticated bool
	}
	if json.Unmarshal(line, &l) != nil || l.Msg != Message || !l.Client.IsValid() || l.Reason == "" {
		return Failure{}, false
	}
	return Failure{l.Time, clientOf(l.Client.Addr()), isMinor(l.Reason)}, !l.Authenticated && !excused(l.Reason)
}

// timeOf returns the time at the start of a line, or the zero Time.
func timeOf(line []byte) time.Time {
	if word, _, _ := bytes.Cut(line, []byte(" ")); len(word) > len("2006-01-02") {
		if at, err := time.Parse(time.RFC3339Nano, string(word)); err == nil {
			return at
		}
	}
	head := string(line[:min(len(line), len(PythonTime))])
	if at, err := time.ParseInLocation(PythonTime, head, time.Local); err == nil {
		return at
	}
	return time.Time{}
}
