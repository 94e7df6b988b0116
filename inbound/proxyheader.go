package inbound

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/pires/go-proxyproto"

	"github.com/umbra-proxy/umbra/core"
)

// Sizes of PROXY headers in bytes. The names of sections are those of haproxy's
// proxy-protocol.txt.
const (
	shortestLine = 15       // section 2.1: "PROXY UNKNOWN\r\n"
	longestLine  = 107      // section 2.1
	fixedPart    = 16       // section 2.2: signature, command, family, length
	longestBody  = 2 << 10  // a bound of this package: the addresses, and TLVs with a certificate
	lineStart    = "PROXY " // of version 1
	unknownStart = lineStart + "UNKNOWN"
	lineSpaces   = 5 // in a line with addresses
)

// readHeader reads a PROXY header and not a byte more: the client's bytes follow, and
// must still be in the kernel when the relay splices. It returns io.EOF if no byte
// arrived, core.ErrShort if the header is incomplete, and core.ErrMalformed as soon as
// the bytes can't be the beginning of a header.
func readHeader(r io.Reader) ([]byte, error) {
	header := make([]byte, 0, longestLine)
	for {
		more, err := missing(header)
		if err != nil || more == 0 {
			return header, err
		}
		header = slices.Grow(header, more)
		n, err := io.ReadAtLeast(r, header[len(header):len(header)+more], 1)
		header = header[:len(header)+n]
		switch {
		case n > 0: // the next read returns the error again
		case len(header) == 0 && !errors.Is(err, os.ErrDeadlineExceeded):
			return nil, io.EOF
		default:
			return nil, fmt.Errorf("%w: %d bytes of a header: %w", core.ErrShort, len(header), hideEOF(err))
		}
	}
}

// hideEOF returns err, or io.ErrUnexpectedEOF if err is io.EOF.
func hideEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// missing returns the least number of bytes that the header with the prefix b has
// beyond b. It returns 0 if b is a whole header.
func missing(b []byte) (int, error) {
	switch {
	case len(b) >= fixedPart && isVersion2(b):
		length := int(binary.BigEndian.Uint16(b[fixedPart-2:]))
		if length > longestBody {
			return 0, fmt.Errorf("%w: header of %d bytes", core.ErrMalformed, fixedPart+length)
		}
		return fixedPart + length - len(b), nil
	case isVersion2(b) && len(b) >= shortestLine:
		return fixedPart - len(b), nil
	case isVersion2(b):
		return shortestLine - len(b), nil // keeps the read within the shortest header
	case isVersion1(b):
		return missingOfLine(b)
	}
	return 0, fmt.Errorf("%w: no PROXY header", core.ErrMalformed)
}

// missingOfLine is missing for version 1. The rest of a line contains a field of at
// least one byte after each space, and the end of the line.
func missingOfLine(b []byte) (int, error) {
	if end := bytes.IndexByte(b, '\n'); end >= 0 && end < len(b)-1 {
		return 0, fmt.Errorf("%w: header line too short", core.ErrMalformed)
	} else if end >= 0 {
		return 0, nil
	}
	more := 2
	switch {
	case len(b) < shortestLine:
		more = shortestLine - len(b)
	case b[len(b)-1] == '\r':
		more = 1
	case !bytes.HasPrefix(b, []byte(unknownStart)):
		more += 2 * max(0, lineSpaces-bytes.Count(b, []byte(" ")))
	}
	if len(b)+more > longestLine {
		return 0, fmt.Errorf("%w: header line of more than %d bytes", core.ErrMalformed, longestLine)
	}
	return more, nil
}

// isVersion1 reports whether b is a header of version 1 or a prefix of one.
func isVersion1(b []byte) bool { return begins(b, []byte(lineStart)) }

// isVersion2 is the same for version 2.
func isVersion2(b []byte) bool { return begins(b, proxyproto.SIGV2) }

func begins(b, signature []byte) bool {
	n := min(len(b), len(signature))
	return bytes.Equal(b[:n], signature[:n])
}

// parseHeader returns the source address of a header that readHeader returned. It
// returns the zero AddrPort if the header has no source address: LOCAL, UNKNOWN, an
// unspecified family or address, a Unix socket.
func parseHeader(b []byte) (netip.AddrPort, error) {
	v2 := isVersion2(b)
	if v2 && b[12] == byte(proxyproto.PROXY) && b[13] == byte(proxyproto.UNSPEC) {
		return netip.AddrPort{}, nil // section 2.2 allows this, the library refuses it
	}
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b), len(b)))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%w: %w", core.ErrMalformed, err)
	}
	if h.Command.IsLocal() {
		return netip.AddrPort{}, nil
	}
	if v2 {
		if err := checkTLVs(b, h.TransportProtocol); err != nil {
			return netip.AddrPort{}, err
		}
	}
	switch source := h.SourceAddr.(type) {
	case *net.TCPAddr:
		ap := source.AddrPort()
		if ap.Addr().Unmap().IsUnspecified() {
			return netip.AddrPort{}, nil
		}
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
	case *net.UnixAddr:
		if h.TransportProtocol == proxyproto.UnixStream {
			return netip.AddrPort{}, nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("%w: header of a datagram", core.ErrMalformed)
}

// checkTLVs checks that whole TLVs follow the addresses of a header of version 2, and
// verifies the checksum if there is one:
//
//	+------+--------+-------+
//	| type | length | value |
//	|  1B  | 2B be  |       |
//	+------+--------+-------+
func checkTLVs(header []byte, family proxyproto.AddressFamilyAndProtocol) error {
	addresses := 12
	switch {
	case family.IsIPv6():
		addresses = 36
	case family.IsUnix():
		addresses = 216
	}
	summed := false
	for rest := header[fixedPart+addresses:]; len(rest) > 0; {
		if len(rest) < 3 || len(rest)-3 < int(binary.BigEndian.Uint16(rest[1:])) {
			return fmt.Errorf("%w: TLV beyond the header's end", core.ErrMalformed)
		}
		value := rest[3 : 3+binary.BigEndian.Uint16(rest[1:])]
		if rest[0] == byte(proxyproto.PP2_TYPE_CRC32C) {
			if summed || len(value) != crc32.Size || binary.BigEndian.Uint32(value) != checksum(header, len(header)-len(rest)+3) {
				return fmt.Errorf("%w: wrong checksum", core.ErrMalformed)
			}
			summed = true
		}
		rest = rest[3+len(value):]
	}
	return nil
}

// checksum returns the CRC-32C of a header. The header's checksum field at the offset at
// is computed as zeros.
func checksum(header []byte, at int) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, header[:at])
	sum = crc32.Update(sum, table, make([]byte, crc32.Size))
	return crc32.Update(sum, table, header[at+crc32.Size:])
}
