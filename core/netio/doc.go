// Package netio has the sockets of the process: listening sockets, which are leased by
// address and kept over a reload, UDP in batches, borrowed buffers, and Bursters, which
// move bytes between two streams by the fastest way that both support.
//
// Each file of one system, such as splice_linux.go, has a counterpart for the others,
// which does the same by package net, or nothing.
package netio
