package core

// Network is what carries a connection: streams over TCP, or datagrams over UDP.
type Network string

// The networks, named as in package net.
const (
	TCP Network = "tcp"
	UDP Network = "udp"
)
