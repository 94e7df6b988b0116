// Package plugins lists the kinds in the umbra binary.
package plugins

import (
	"github.com/umbra-proxy/umbra/cipher/aead"
	"github.com/umbra-proxy/umbra/cipher/aead2022"
	"github.com/umbra-proxy/umbra/cipher/stream"
	"github.com/umbra-proxy/umbra/core"
	inhttp "github.com/umbra-proxy/umbra/inbound/http"
	"github.com/umbra-proxy/umbra/inbound/mixed"
	"github.com/umbra-proxy/umbra/inbound/redirect"
	"github.com/umbra-proxy/umbra/inbound/relay"
	insocks5 "github.com/umbra-proxy/umbra/inbound/socks5"
	inss "github.com/umbra-proxy/umbra/inbound/ss"
	"github.com/umbra-proxy/umbra/inbound/tunnel"
	"github.com/umbra-proxy/umbra/observer/accesslog"
	"github.com/umbra-proxy/umbra/outbound/balance"
	"github.com/umbra-proxy/umbra/outbound/block"
	outchain "github.com/umbra-proxy/umbra/outbound/chain"
	"github.com/umbra-proxy/umbra/outbound/direct"
	"github.com/umbra-proxy/umbra/outbound/failover"
	"github.com/umbra-proxy/umbra/outbound/fastest"
	outhttp "github.com/umbra-proxy/umbra/outbound/http"
	"github.com/umbra-proxy/umbra/outbound/route"
	selector "github.com/umbra-proxy/umbra/outbound/select"
	outsocks5 "github.com/umbra-proxy/umbra/outbound/socks5"
	outss "github.com/umbra-proxy/umbra/outbound/ss"
	"github.com/umbra-proxy/umbra/outbound/ssh"
	"github.com/umbra-proxy/umbra/plugins/sip003"
	"github.com/umbra-proxy/umbra/plugins/tls"
	"github.com/umbra-proxy/umbra/plugins/websocket"
	"github.com/umbra-proxy/umbra/policy/acl"
	"github.com/umbra-proxy/umbra/policy/ban"
	"github.com/umbra-proxy/umbra/policy/limit"
	"github.com/umbra-proxy/umbra/policy/replay"
	"github.com/umbra-proxy/umbra/resolver/dns"
	"github.com/umbra-proxy/umbra/resolver/first"
	"github.com/umbra-proxy/umbra/resolver/hosts"
	"github.com/umbra-proxy/umbra/resolver/system"
	"github.com/umbra-proxy/umbra/rule/match"
)

// Standard registers all kinds in the umbra binary. Keep each list in alphabetical
// order.
func Standard(reg *core.Registry) {
	core.Add(&reg.Inbound, "http", inhttp.New)
	core.Add(&reg.Inbound, "mixed", mixed.New)
	core.Add(&reg.Inbound, "redirect", redirect.New)
	core.Add(&reg.Inbound, "relay", relay.New)
	core.Add(&reg.Inbound, "socks5", insocks5.New)
	core.Add(&reg.Inbound, "ss", inss.New)
	core.Add(&reg.Inbound, "tunnel", tunnel.New)

	core.Add(&reg.Observer, "accesslog", accesslog.New)

	core.Add(&reg.Outbound, "balance", balance.New)
	core.Add(&reg.Outbound, "block", block.New)
	core.Add(&reg.Outbound, "chain", outchain.New)
	core.Add(&reg.Outbound, "direct", direct.New)
	core.Add(&reg.Outbound, "failover", failover.New)
	core.Add(&reg.Outbound, "fastest", fastest.New)
	core.Add(&reg.Outbound, "http", outhttp.New)
	core.Add(&reg.Outbound, "route", route.New)
	core.Add(&reg.Outbound, "select", selector.New)
	core.Add(&reg.Outbound, "socks5", outsocks5.New)
	core.Add(&reg.Outbound, "ss", outss.New)
	core.Add(&reg.Outbound, "ssh", ssh.New)

	for _, spec := range aead.Specs() {
		aead.Register(reg, spec)
	}
	for _, spec := range aead2022.Specs() {
		aead2022.Register(reg, spec)
	}
	for _, spec := range stream.Specs() {
		stream.Register(reg, spec)
	}

	core.Add(&reg.Policy, "acl", acl.New)
	core.Add(&reg.Policy, "ban", ban.New)
	core.Add(&reg.Policy, "limit", limit.New)
	core.Add(&reg.Policy, "replay", replay.New)

	core.Add(&reg.Resolver, "dns", dns.New)
	core.Add(&reg.Resolver, "first", first.New)
	core.Add(&reg.Resolver, "hosts", hosts.New)
	core.Add(&reg.Resolver, "system", system.New)

	core.Add(&reg.Rule, "match", match.New)

	core.Add(&reg.Transport, "sip003", sip003.New)
	core.Add(&reg.Transport, "tls", tls.New)
	core.Add(&reg.Transport, "websocket", websocket.New)
}
