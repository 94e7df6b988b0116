package probe

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/umbra-proxy/umbra/core"
)

// exchangePacket sends one datagram from a new socket and waits for an answer. It
// returns false if ctx ended first.
func exchangePacket(ctx context.Context, addr string, p Probe, b []byte, wait time.Duration) (Record, bool) {
	r := Record{Probe: p, End: EndOpen}
	answer, took, err := ask(ctx, addr, b, wait)
	r.After, r.Quiet = took, took
	switch {
	case err == nil:
		r.Sent, r.Data, r.End = len(b), len(answer), EndData
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.Sent = len(b)
	default:
		r.End, r.Err = EndNever, reason(err)
	}
	return r, ctx.Err() == nil
}

// ask sends a datagram and returns the answer and the time that it took.
func ask(ctx context.Context, addr string, b []byte, wait time.Duration) ([]byte, time.Duration, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", addr)
	if err != nil {
		return nil, 0, err
	}
	defer conn.Close()
	began := time.Now()
	_ = conn.SetDeadline(began.Add(wait))
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(b); err != nil {
		return nil, 0, err
	}
	answer := make([]byte, core.MaxDatagram)
	n, err := conn.Read(answer)
	return answer[:n], time.Since(began), err
}

// packetControl sends a valid datagram. It returns the datagram if it was answered,
// and the reason in failed if not.
func (k *Key) packetControl(ctx context.Context, addr string) (datagram []byte, failed string) {
	client, err := k.packetClient()
	if err != nil {
		return nil, err.Error()
	}
	sealed, err := client.AppendPacket(nil, dnsQuery(), k.PacketTarget)
	if err != nil {
		return nil, err.Error()
	}
	answer, _, err := ask(ctx, addr, sealed, packetWait)
	if err != nil {
		return nil, "a valid datagram to " + k.PacketTarget.String() + " got no answer: " + reason(err)
	}
	if _, _, err := client.OpenPacket(answer); err != nil {
		return nil, "the answer to a valid datagram can't be decrypted: " + err.Error()
	}
	return sealed, ""
}
