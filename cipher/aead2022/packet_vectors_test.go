package aead2022

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/umbra-proxy/umbra/cipher/ciphertest"
	"github.com/umbra-proxy/umbra/cipher/replay"
	"github.com/umbra-proxy/umbra/core/socksaddr"
)

// packetSide is one direction of a packetVector.
type packetSide struct {
	SessionID  ciphertest.Hex `json:"session_id"`
	PacketID   uint64         `json:"packet_id"`
	Timestamp  int64
	ClientID   ciphertest.Hex `json:"client_session_id"`
	Separate   ciphertest.Hex `json:"separate_header_pt"`
	Body       ciphertest.Hex `json:"body_pt"`
	Subkey     ciphertest.Hex `json:"session_subkey"`
	Identities ciphertest.Hex `json:"identity_headers"`
	Padding    ciphertest.Hex
	Address    ciphertest.Hex
	Payload    ciphertest.Hex
	Packet     ciphertest.Hex
}

// packetVector is a request and a reply of testdata/ss2022_udp.json. Both have the same
// padding, address and payload.
type packetVector struct {
	Name, Method, Password string
	Timestamp              int64
	Client, Server         packetSide
}

func packetVectors(t testing.TB) []packetVector {
	t.Helper()
	return ciphertest.ReadVectors[packetVector](t, "ss2022_udp.json")
}

// client returns the client session of the vector, about to send its request.
func (v packetVector) client(t testing.TB) *packetClient {
	t.Helper()
	c := of(t, v.Method, v.Password)
	at(c, time.Unix(v.Timestamp, 0))
	p, err := c.newPacketClient(binary.BigEndian.Uint64(v.Client.SessionID))
	if err != nil {
		t.Fatal(err)
	}
	p.packets.Store(v.Client.PacketID)
	return p
}

// terminal returns the server at the end of a chain of identities, and the request as it
// arrives there: each server before it has removed its identity header and sealed the separate
// header for the next.
func (v packetVector) terminal(t testing.TB) (*Cipher, []byte) {
	t.Helper()
	c, packet := of(t, v.Method, v.Password), []byte(v.Client.Packet)
	if n := len(c.client.identities); n > 1 {
		last := c.client.identities[n-1]
		packet = slices.Concat(packet[:separateSize], packet[separateSize+hashSize*(n-1):])
		last.block.Encrypt(packet, v.Client.Separate)
		c = fresh(t, c.spec, Keys{PSKs: [][]byte{last.ipsk, c.client.own.psk}})
	}
	at(c, time.Unix(v.Timestamp, 0))
	return c, packet
}

// checkSealed compares a sealed datagram with the stored one. Without AES the nonce is random,
// so the plaintext is compared.
func checkSealed(t *testing.T, s *sealer, side packetSide, got []byte) {
	t.Helper()
	if s.block != nil {
		if !bytes.Equal(got, side.Packet) {
			t.Errorf("got %x, want %x", got, side.Packet)
		}
		return
	}
	plain, err := s.aead.Open(nil, got[:longNonce], got[longNonce:], nil)
	if want := slices.Concat(side.Separate, side.Body); err != nil || !bytes.Equal(plain, want) {
		t.Errorf("got %x, %v, want %x", plain, err, want)
	}
}

func TestPacketVectors(t *testing.T) {
	for _, v := range packetVectors(t) {
		t.Run(v.Method+", "+v.Name, func(t *testing.T) {
			where, _, err := socksaddr.Decode(v.Client.Address)
			if err != nil {
				t.Fatal(err)
			}
			p := v.client(t)
			own := p.cipher.client.own
			if v.Client.Subkey != nil {
				for _, side := range []packetSide{v.Client, v.Server} {
					if got := sessionSubkey(own.psk, side.SessionID); !bytes.Equal(got, side.Subkey) {
						t.Fatalf("got subkey %x, want %x", got, side.Subkey)
					}
				}
				ids := make([]byte, len(v.Client.Identities))
				if p.cipher.putPacketIdentities(ids, v.Client.Separate); !bytes.Equal(ids, v.Client.Identities) {
					t.Errorf("got identity headers %x, want %x", ids, v.Client.Identities)
				}
			}
			checkSealed(t, &p.sealer, v.Client, p.appendPadded(nil, v.Client.Payload, where, v.Client.Padding))

			server, request := v.terminal(t)
			o := opens(t, serverOf(t, server), request)
			if o.Target != where || !bytes.Equal(o.Payload, v.Client.Payload) {
				t.Errorf("request: got %x for %s, want %x for %s", o.Payload, o.Target, v.Client.Payload, where)
			}
			at(server, time.Unix(v.Server.Timestamp, 0))
			s := &session{id: p.sessionID, owner: server.sole.hash, serverID: binary.BigEndian.Uint64(v.Server.SessionID), window: replay.NewWindow(64)}
			s.sent.Store(v.Server.PacketID)
			r, err := server.newReplies(server.sessions, s, server.sole)
			if err != nil {
				t.Fatal(err)
			}
			checkSealed(t, &r.sealer, v.Server, r.appendPadded(nil, v.Client.Payload, where, v.Client.Padding))

			payload, source, err := p.OpenPacket(bytes.Clone(v.Server.Packet))
			if err != nil || source != where || !bytes.Equal(payload, v.Client.Payload) {
				t.Errorf("reply: got %x from %s, %v, want %x from %s", payload, source, err, v.Client.Payload, where)
			}
		})
	}
}
