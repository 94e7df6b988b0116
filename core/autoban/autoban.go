// Package autoban finds failed handshakes in the lines of a log, counts them for
// each client, and has nftables drop what comes from whoever has too many. It does
// what the Python original's script of that name does, which knows neither a window
// nor an end of bans.
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
	// Phrase is what the Python original logs of a client whose first bytes make no
	// request; the client's address and port follow, and end the line.
	Phrase = "can not parse header when handling connection from"
	// Message is what umbra logs of one.
	Message = "handshake failed"
	// PythonTime is the form of a line's time in the Python original, which is local.
	PythonTime = "2006-01-02 15:04:05"
)

// A Failure is what a line tells of a failed handshake.
type Failure struct {
	At     time.Time    // as the line says, or the zero Time
	Client netip.Prefix // an IPv4 address, or the /64 of an IPv6 address
}

// Parse reads a line of umbra's, in any of its formats, or of the Python original.
// It reports false for a line that tells of no failed handshake, and for one that
// does and proves nothing against its client: a wrong clock, what policy denied, a
// mistake of somebody who has a key.
//
// The client is taken from the line's end alone, or from its field of a JSON line:
// what a client sends stands elsewhere, in quotes. It keeps no part of line.
func Parse(line []byte) (Failure, bool) {
	line = bytes.TrimRight(line, " \t\r\n")
	if len(line) > 0 && line[0] == '{' {
		return parseJSON(line)
	}
	i := bytes.LastIndex(line, []byte(Phrase+" "))
	if i < 0 || !marked(line[:i]) {
		return Failure{}, false
	}
	client, ok := parseClient(line[i+len(Phrase)+1:])
	return Failure{At: timeOf(line), Client: client}, ok
}

// marked reports whether head, what stands before Phrase, is that of a line that
// counts: one of the Python original's errors, or of umbra's.
func marked(head []byte) bool {
	if before, ok := bytes.CutSuffix(head, []byte("; ")); ok {
		_, attrs, found := bytes.Cut(before, []byte(" "+Message+" "))
		return found && blames(attrs)
	}
	level := bytes.TrimRight(head, " ")
	return len(level) < len(head) && bytes.HasSuffix(level, []byte("ERROR"))
}

// blames reports whether the attributes of a line of umbra's count. The reason and
// what follows it at once stand before all that a client has chosen.
func blames(attrs []byte) bool {
	_, rest, found := bytes.Cut(append([]byte(" "), attrs...), []byte(" reason="))
	reason, rest, _ := bytes.Cut(rest, []byte(" "))
	return !found || !excused(string(reason)) && !bytes.HasPrefix(rest, []byte("authenticated=true"))
}

// excused reports whether a reason is no fault of an attacker.
func excused(reason string) bool {
	return reason == "clock" || reason == "denied" || reason == "crowded"
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

// clientOf returns what counts as one client.
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
	return Failure{l.Time, clientOf(l.Client.Addr())}, !l.Authenticated && !excused(l.Reason)
}

// timeOf returns the time that a line begins with, or the zero Time.
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
