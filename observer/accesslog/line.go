package accesslog

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/umbra-proxy/umbra/core"
)

// timeLayout is RFC 3339 with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// append appends the line of a connection that has ended. What is not known is left out.
func (o *Options) append(b []byte, e core.Event) []byte {
	b = append(b, '{')
	for _, f := range o.Fields {
		b = o.appendField(b, f, e)
	}
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	return append(b, '}', '\n')
}

// appendField appends a key, its value and a comma, or nothing.
func (o *Options) appendField(b []byte, f Field, e core.Event) []byte {
	at := e.Stages
	switch f {
	case FieldTime:
		return appendTime(b, f, at.Ended)
	case FieldAccepted:
		return appendTime(b, f, at.Accepted)
	case FieldPipeline:
		return appendText(b, f, e.Pipeline)
	case FieldInbound:
		return appendText(b, f, e.Client.Inbound)
	case FieldNetwork:
		return appendText(b, f, string(e.Client.Network))
	case FieldClient:
		return appendText(b, f, o.Clients.Show(e.Client.Addr))
	case FieldPath:
		return appendList(b, f, e.Path)
	case FieldEvent:
		return appendText(b, f, e.Kind.String())
	case FieldResult:
		return appendText(b, f, resultOf(e))
	case FieldErr:
		return appendErr(b, f, o.errText(e.Err, e))
	case FieldReceived:
		if e.Kind == core.HandshakeFailed && e.Received >= 0 {
			return appendNumber(b, f, e.Received)
		}
	case FieldTook:
		return appendSpan(b, f, at.Accepted, at.Ended)
	case FieldHandshake:
		return appendSpan(b, f, at.Admitted, at.Requested)
	case FieldReach:
		return appendSpan(b, f, at.Requested, at.Reached)
	case FieldFirstByte:
		return appendSpan(b, f, at.Requested, at.Answered)
	default:
		if e.Request != nil {
			return o.appendOfRequest(b, f, e)
		}
	}
	return b
}

// appendOfRequest is appendField for what only a request has.
func (o *Options) appendOfRequest(b []byte, f Field, e core.Event) []byte {
	r := e.Request
	switch f {
	case FieldID:
		return append(strconv.AppendUint(appendKey(b, f), r.ID, 10), ',')
	case FieldUser:
		return appendText(b, f, r.User)
	case FieldTarget:
		if r.Target.IsValid() { // an association has many
			return appendText(b, f, r.Target.String())
		}
	case FieldUp:
		return appendNumber(b, f, r.Flow.Up.Load())
	case FieldDown:
		return appendNumber(b, f, r.Flow.Down.Load())
	case FieldSteps:
		return o.appendSteps(b, f, e)
	}
	return b
}

// appendSteps appends what was done for a request.
func (o *Options) appendSteps(b []byte, f Field, e core.Event) []byte {
	steps := e.Request.Flow.Steps()
	if len(steps) == 0 {
		return b
	}
	b = append(appendKey(b, f), '[')
	for _, s := range steps {
		b = appendText(append(b, '{'), "kind", string(s.Kind))
		b = appendText(b, "name", s.Name)
		b = appendText(b, "detail", s.Detail)
		b = appendErr(b, "err", o.errText(s.Err, e))
		b = appendSeconds(appendKey(b, "took"), s.Took)
		b = append(b, '}', ',')
	}
	b[len(b)-1] = ']'
	return append(b, ',')
}

// errText returns the text of an error as far as it may be written.
func (o *Options) errText(err error, e core.Event) string {
	if err == nil {
		return ""
	}
	return o.Clients.Hide(err.Error(), e.Client.Addr)
}

// appendKey appends a key, which needs no escapes.
func appendKey(b []byte, f Field) []byte {
	b = append(append(b, '"'), f...)
	return append(b, '"', ':')
}

func appendText(b []byte, f Field, text string) []byte {
	if text == "" {
		return b
	}
	return append(appendString(appendKey(b, f), text), ',')
}

// appendErr is appendText for the text of an error, which may have several lines.
func appendErr(b []byte, f Field, text string) []byte {
	return appendText(b, f, strings.ReplaceAll(text, "\n", "; "))
}

func appendList(b []byte, f Field, texts []string) []byte {
	if len(texts) == 0 {
		return b
	}
	b = append(appendKey(b, f), '[')
	for _, text := range texts {
		b = append(appendString(b, text), ',')
	}
	b[len(b)-1] = ']'
	return append(b, ',')
}

func appendNumber(b []byte, f Field, n int64) []byte {
	return append(strconv.AppendInt(appendKey(b, f), n, 10), ',')
}

func appendTime(b []byte, f Field, at time.Time) []byte {
	if at.IsZero() {
		return b
	}
	b = append(appendKey(b, f), '"')
	return append(at.UTC().AppendFormat(b, timeLayout), '"', ',')
}

// appendSpan appends the seconds between two stages that a connection came to.
func appendSpan(b []byte, f Field, from, to time.Time) []byte {
	if from.IsZero() || to.IsZero() {
		return b
	}
	return append(appendSeconds(appendKey(b, f), to.Sub(from)), ',')
}

func appendSeconds(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, max(0, d).Seconds(), 'f', 6, 64)
}

// appendString appends a JSON string. Users and errors have text that strangers chose, so
// each character that does not print is escaped: a terminal would execute it.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == utf8.RuneError || !unicode.IsPrint(r):
			for _, unit := range utf16.AppendRune(make([]uint16, 0, 2), r) {
				const hex = "0123456789abcdef"
				b = append(b, '\\', 'u', hex[unit>>12], hex[unit>>8&15], hex[unit>>4&15], hex[unit&15])
			}
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
