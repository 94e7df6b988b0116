package core

import "net"

// Bare returns the TCP connection that s is, or nil. It accepts a
// *net.TCPConn itself and nothing that wraps one: a wrapper may hold buffered
// bytes or a key, so its descriptor must not carry bytes beside it.
func Bare(s net.Conn) *net.TCPConn {
	tcp, _ := s.(*net.TCPConn)
	return tcp
}

// tcpConn returns the TCP connection under s and its wrappers, or nil. It is for
// socket options only, never for bytes.
func tcpConn(s net.Conn) *net.TCPConn {
	for ; s != nil; s = under(s) {
		if tcp := Bare(s); tcp != nil {
			return tcp
		}
	}
	return nil
}

// under returns the connection that s wraps, or nil.
func under(s net.Conn) net.Conn {
	if w, ok := s.(interface{ NetConn() net.Conn }); ok {
		return w.NetConn()
	}
	return nil
}

// Aborter is a stream whose Close would make a broken end look orderly to its
// peer. Abort closes it, and what it stands on, without that.
type Aborter interface{ Abort() }

// Abort closes s so that its peer sees an error rather than an orderly end: a
// stream that broke must not look complete. Bytes that were written but not yet
// delivered are lost.
func Abort(s Stream) {
	if tcp := tcpConn(s); tcp != nil {
		_ = tcp.SetLinger(0) // if that fails, the close is merely orderly
	}
	for c := net.Conn(s); c != nil; c = under(c) {
		if a, ok := c.(Aborter); ok {
			a.Abort()
			break
		}
	}
	_ = s.Close()
}
