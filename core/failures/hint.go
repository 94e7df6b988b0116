package failures

import (
	"errors"
	"log/slog"
	"strings"
	"syscall"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/budget"
)

// Reasons beyond those of core.ReasonOf.
const (
	silence     = "silence"     // requests were sent, and nothing came back
	ports       = "ports"       // no local port is free
	descriptors = "descriptors" // the process or the machine has no descriptor left
)

// reasonOf returns why a dial failed in one word.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return ports
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return descriptors
	}
	return core.ReasonOf(err)
}

// hints are the likely mends of failures of an outbound that dials targets itself.
var hints = map[string]string{
	"name":        `the name does not exist, or no name server answers; "umbra resolve FILE NAME" asks`,
	"refused":     "nothing listens on the port of the target",
	"timeout":     "the target or a firewall before it drops packets",
	"unreachable": "no route from this machine; has it IPv4 and IPv6?",
	"crowded":     "raise the bound, or look for a client that takes all",
	ports:         "widen net.ipv4.ip_local_port_range, or give more addresses in source; each address of source must be one of this machine",
	descriptors:   "raise the limit of open files (ulimit -n, LimitNOFILE)",
}

// hopHints are those of an outbound that passes requests on to a server.
var hopHints = map[string]string{
	"refused": "nothing listens there: is the server running, and its port right?",
	"timeout": "the server is down, its address is wrong, or a firewall drops packets",
	"auth":    "wrong user or password?",
	"reset":   "the server ended the connection: wrong method or password, or another protocol on its port?",
	"short":   "the server ended the connection: wrong method or password, or another protocol on its port?",
	silence:   "wrong method or password, or its clock?",
}

// dropHints are the likely mends where datagrams were dropped.
var dropHints = map[core.DropReason]string{
	core.DropMalformed: "the client sends what is no SOCKS5 datagram",
	core.DropFragment:  "the client sends fragments of SOCKS5, which are not supported",
	core.DropStranger:  "they came from other addresses than the client's",
	core.DropPaused:    "the client is over its rate limit",
	core.DropName:      hints["name"],
	core.DropCrowded:   "raise association_names in [process]",
	core.DropWaiting:   "the server is slow to open associations; see associate_queue of the outbound",
	core.DropDenied:    "the outbound does not send to such targets; see its option allow",
	core.DropAuth:      "they are not the server's, or can't be opened: wrong method or password, or its clock?",

	core.DropLong:        "longer than a datagram or the MTU of the route, the headers of the protocol included",
	core.DropFull:        "the socket's send buffer was full: the sender is faster than this machine's network",
	core.DropUnreachable: "no route from this machine, or its firewall refuses them",
	core.DropUnproven:    "a client gets at most ten times what it sent before it has answered: its address may be forged",
}

// hint returns the likely mend of a kind of failures, "" if there is none.
func (r *Reporter) hint(k kind) string {
	if k.dropped {
		return dropHints[core.DropReason(k.reason)]
	}
	last := k.where[strings.LastIndexByte(k.where, ' ')+1:]
	if (*r.hops.Load())[last] {
		if hint := hopHints[k.reason]; hint != "" {
			return hint
		}
	}
	return hints[k.reason]
}

// shortHints are what to do about the lack of a resource.
var shortHints = map[budget.Resource]string{
	budget.Descriptors: "raise the limit of open files (ulimit -n, LimitNOFILE= of systemd)",
	budget.Memory:      "raise [process] memory, or the memory of the machine or control group",
}

// writeShort logs a line about the lack of a resource. mu is held.
func (r *Reporter) writeShort(k kind, t *tally) {
	what, attr := "connections are refused or ended early: the process is out of "+k.reason, slog.String("mend", shortHints[t.short.Of])
	if t.more > 0 {
		what, attr = "the process was out of "+k.reason+" again", slog.Int("connections", t.more)
	}
	r.log.Warn(what, slog.Int64("limit", t.short.Limit), slog.Int("streams", t.short.Streams), slog.Int("associations", t.short.Associations), attr)
}
