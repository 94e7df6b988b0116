package netio

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
func TCP(s net.Conn) *net.TCPConn {
	for ; s != nil; s = Under(s) {
		if tcp := Bare(s); tcp != nil {
			return tcp
		}
	}
	return nil
}

// under returns the connection that s wraps, or nil.
func Under(s net.Conn) net.Conn {
	if w, ok := s.(interface{ NetConn() net.Conn }); ok {
		return w.NetConn()
	}
	return nil
}
