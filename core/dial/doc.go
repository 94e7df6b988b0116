// Package dial has the Dialers that every program has: Net, the bare network under the
// first hop of each chain, and those that resolve the names of targets and put
// transports over a wire.
package dial
