// Package core has the contracts of umbra: what inbounds, outbounds, ciphers,
// transports, resolvers and policies are, and what passes between them.
//
// The life of a connection reads through them in this order: an Inbound accepts a
// client, Gates admit it, and the inbound makes a Request of its handshake. A Handler
// takes the Request: it has a Dialer open the far side, relays, and notifies Observers
// of each step. A Registry names the kinds of components that a program has.
//
// The package does no I/O. Package netio has the sockets, package pipeline the
// Handler, and package coretest a conformance kit for each contract.
package core
