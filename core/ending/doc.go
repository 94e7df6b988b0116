// Package ending holds the ways in which a connection ends. What a peer sees of an
// end, and when, tells a prober about the program, so each way has one word, and all
// of them stand here:
//
//	word       the peer sees                      when                                 where
//	---------  ---------------------------------  -----------------------------------  ------------------------
//	HalfClose  a FIN; it may go on sending        the other side has ended in order    relay.end
//	Close      a FIN                              both directions have ended           stream.relayed
//	Cut        a FIN, at once                     idle, over a quota, a user revoked,  Flow.Cut
//	                                              a drain that is over
//	Reset      a RST, at once                     what came must not look complete:    Reset
//	                                              damage, an end inside a message, a
//	                                              dial that failed after the reply
//	Reply      the protocol's answer, then as     the client is owed an answer         socks5.dismiss
//	           Dismiss
//	Dismiss    a FIN at once; up to a second of   no answer is owed, the peer may      Dismiss
//	           what it still sends is read        still be sending
//	Drain      silence until it ends, or until a  a stranger made no request           Drain
//	           time that the key fixes, then a FIN
//	DrainReset the same, then a RST               the same, with reject = "reset"      DrainReset
//	Absorb     silence until it ends, or until a  a client's stream broke after its    core.Absorber
//	           time that the key fixes, then the  request
//	           end of the answer
//	Hold       an end put off to the deadline,    a request that proves nothing        inbound.Rejecter.Hold,
//	           then as Drain or DrainReset        failed                               FailLater
//	Forward    whatever the decoy does            a stranger, with reject = "forward"  inbound.Rejecter.forward
//	Tarpit     silence for up to an hour; a byte  a banned client, with                Tarpit
//	           a second is taken                  reject = "tarpit"
//
// A close with unread bytes is a RST in TCP, whatever was meant: Dismiss and Drain
// read first. Until an answer, everything that a stranger can cause ends by Drain or
// DrainReset, at a time that does not depend on what it sent.
package ending
