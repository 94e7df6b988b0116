// Package ending implements the ways in which a connection ends. A prober can identify
// the program by what the peer sees of an end, and when, so each way has one word, and
// this table lists all of them:
//
//	word       the peer sees                      when                                 where
//	---------  ---------------------------------  -----------------------------------  ------------------------
//	HalfClose  a FIN; the peer may go on sending  the other side sent a FIN            relay.end
//	Close      a FIN                              both directions have ended           stream.relayed
//	Cut        a FIN, at once; a RST if the peer  idle, over a quota, a user revoked,  Flow.Cut
//	           is still sending: nothing is read  the end of a drain
//	           for a client that may have no more
//	Reset      a RST, at once                     a dial that failed after the reply   Reset
//	PassOn     what came before, then a RST       the other side was reset, broke or   relay.passOn
//	                                              ended inside a message: the stream
//	                                              must not look complete
//	Interrupt  what came before, a part of a      the same, on the wire of a cipher's  relay.hide
//	           message, then a FIN; the server    server: a client with the key sees
//	           reads on as Linger says            an incomplete stream, others an end
//	Reply      the protocol's reply, then as      the protocol has a reply for the     socks5.dismiss
//	           Dismiss                            failure
//	Dismiss    a FIN at once; the server reads    no reply is due, the peer may still  Dismiss
//	           for up to a second                 be sending
//	Finish     a FIN at once; the server reads    the target of a request that proves a  Finish
//	           on as Linger says                  key can't be reached
//	Drain      silence until the peer ends, or    a client without a key made no       Drain
//	           until a time fixed by the key,     request
//	           then a FIN and a close at once
//	DrainReset the same, then a RST               the same, with reject = "reset"      DrainReset
//	Absorb     silence until the peer ends, or    a client's stream broke after its    core.Absorber
//	           until a time fixed by the key,     request
//	           then the end of the answer
//	Hold       an end delayed to the deadline,    an unauthenticated request failed    inbound.Rejecter.Hold,
//	           then as Drain or DrainReset                                             FailLater
//	Forward    what the decoy sends               as Drain, with reject = "forward"    inbound.Rejecter.forward
//	Tarpit     silence for up to an hour; the     a banned client, with                Tarpit
//	           server reads a byte a second       reject = "tarpit"
//
// A RST destroys what its receiver has not acknowledged, so PassOn waits until the send queue
// is empty, and gives up when the peer has acknowledged nothing for ten seconds.
//
// In TCP a close with unread bytes sends a RST, so Dismiss, Linger and Drain read first. Drain
// waits for nothing after its FIN: a pause there would be a trait of this program. Up to 64
// KiB are read at once, so a peer's FIN behind them is answered at once too. Before
// an answer, every failure that a client without a key can cause ends by Drain or
// DrainReset, at a time that does not depend on the bytes that the client sent.
package ending
