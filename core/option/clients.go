package option

import (
	"net/netip"
	"strings"
)

// Clients says what is written of the addresses of clients, in logs and elsewhere.
type Clients string

// The choices.
const (
	ClientsFull Clients = "full"
	ClientsCut  Clients = "cut" // to the network of 24 or 48 bits
	ClientsNone Clients = "none"
)

// The bits of an address that are left where addresses are cut.
const (
	cutIPv4 = 24
	cutIPv6 = 48
)

// Values returns the choices.
func (Clients) Values() []string {
	return []string{string(ClientsFull), string(ClientsCut), string(ClientsNone)}
}

// UnmarshalText reads one of the choices.
func (c *Clients) UnmarshalText(text []byte) error { return ReadWord(c, text, c.Values()) }

// Show returns what is written of an address: address and port, a prefix, or "".
func (c Clients) Show(client netip.AddrPort) string {
	ip := client.Addr().Unmap().WithZone("")
	switch {
	case !ip.IsValid() || c == ClientsNone:
		return ""
	case c == ClientsFull:
		return client.String()
	}
	bits := cutIPv4
	if ip.Is6() {
		bits = cutIPv6
	}
	p, _ := ip.Prefix(bits) // the bits fit the family
	return p.String()
}

// Hide replaces the address of a client in a text such as that of an error: a connection that
// the client has reset names both of its ends.
func (c Clients) Hide(text string, client netip.AddrPort) string {
	ip := client.Addr().Unmap().WithZone("")
	if c == ClientsFull || !ip.IsValid() {
		return text
	}
	shown := c.Show(client)
	if shown == "" {
		shown = "client"
	}
	for _, whole := range []string{client.String(), netip.AddrPortFrom(ip, client.Port()).String(), ip.String()} {
		text = strings.ReplaceAll(text, whole, shown)
	}
	return text
}
