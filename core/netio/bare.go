package netio

import "net"

// Bare returns s as a *net.TCPConn, or nil if s is of another type. It does not
// unwrap: a wrapper may hold buffered bytes or a key, so bytes must not bypass the
// wrapper through the descriptor.
func Bare(s net.Conn) *net.TCPConn {
	tcp, _ := s.(*net.TCPConn)
	return tcp
}

// TCP returns the TCP connection under s and its wrappers, or nil. The result is for
// socket options only, never for bytes.
func TCP(s net.Conn) *net.TCPConn {
	for ; s != nil; s = Under(s) {
		if tcp := Bare(s); tcp != nil {
			return tcp
		}
	}
	return nil
}

// Under returns the connection that s wraps, or nil.
func Under(s net.Conn) net.Conn {
	if w, ok := s.(interface{ NetConn() net.Conn }); ok {
		return w.NetConn()
	}
	return nil
}
