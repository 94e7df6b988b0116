// Package terminal draws lines of text on a terminal and reads its keys.
package terminal

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/term"
)

// Sequences of ECMA-48 and xterm. While a program draws, lines that are too long are cut off
// and what was on the screen before is kept for the end.
const (
	enter   = "\x1b[?1049h\x1b[?25l\x1b[?7l" // the other screen, no cursor, no wrapping
	leave   = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
	reset   = "\x1b[0m"
	erase   = "\x1b[K" // to the end of the line
	erasing = "\x1b[J" // to the end of the screen
)

// Style is how a text looks.
type Style string

// The styles. Red, Green and Yellow are colours: Colourless leaves them out.
const (
	Plain   Style = ""
	Bold    Style = "\x1b[1m"
	Dim     Style = "\x1b[2m"
	Reverse Style = "\x1b[7m"
	Red     Style = "\x1b[31m"
	Green   Style = "\x1b[32m"
	Yellow  Style = "\x1b[33m"
)

// Apply returns a text in a style.
func (s Style) Apply(text string) string {
	if s == Plain || text == "" {
		return text
	}
	return string(s) + text + reset
}

// Line is a line of the screen.
type Line struct {
	Text  string // without control characters
	Style Style
}

// Is reports whether a file or a stream is a terminal.
func Is(stream any) bool {
	f, ok := stream.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// Coloured reports whether what is written to a stream may have colours: it is a terminal,
// and neither NO_COLOR nor TERM asks for none. See https://no-color.org.
func Coloured(stream any) bool {
	return Is(stream) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// Terminal is a terminal whose whole screen a program draws.
type Terminal struct {
	in, out  *os.File
	owned    bool // in was opened for this
	before   *term.State
	coloured bool
}

// Open takes over the terminal that out writes to. Keys come from the terminal of the process, so
// that the standard input may be a file. The caller closes it.
func Open(out *os.File) (*Terminal, error) {
	in, owned, err := openKeys()
	if err != nil {
		return nil, err
	}
	t := &Terminal{in: in, out: out, owned: owned, coloured: Coloured(out)}
	if err := t.enter(); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// enter takes the terminal over.
func (t *Terminal) enter() (err error) {
	if t.before, err = makeRaw(t.in, t.out); err == nil {
		_, err = t.out.WriteString(enter)
	}
	return err
}

// leave gives the terminal back as it was.
func (t *Terminal) leave() error {
	_, err := t.out.WriteString(leave)
	if t.before != nil {
		err = errors.Join(err, restore(t.in, t.before))
	}
	return err
}

// Suspend stops the process, as the key Suspend asks, until its shell has it go on. Systems
// without that ignore it.
func (t *Terminal) Suspend() error {
	if err := t.leave(); err != nil {
		return err
	}
	suspend()
	return t.enter()
}

// Close gives the terminal back as it was.
func (t *Terminal) Close() error {
	err := t.leave()
	if t.owned {
		err = errors.Join(err, t.in.Close())
	}
	return err
}

// Size returns the width and the height of the screen in characters.
func (t *Terminal) Size() (width, height int) {
	width, height, err := term.GetSize(int(t.out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24 // what terminals have that don't say
	}
	return width, height
}

// Draw fills the screen with lines, in one write.
func (t *Terminal) Draw(lines []Line) error {
	var b bytes.Buffer
	for i, l := range lines {
		b.WriteString("\x1b[" + strconv.Itoa(i+1) + ";1H" + erase)
		style := l.Style
		if !t.coloured && (style == Red || style == Green || style == Yellow) {
			style = Plain
		}
		b.WriteString(style.Apply(l.Text))
	}
	b.WriteString("\x1b[" + strconv.Itoa(len(lines)+1) + ";1H")
	if _, height := t.Size(); len(lines) < height {
		b.WriteString(erasing)
	}
	_, err := t.out.Write(b.Bytes())
	return err
}

// Keys passes on the keys that are pressed, until the context ends or the terminal is gone.
func (t *Terminal) Keys(ctx context.Context, press func(Key)) error {
	stop := context.AfterFunc(ctx, func() { _ = t.in.SetReadDeadline(time.Now()) })
	defer stop()
	var rest []byte
	buf := make([]byte, 256)
	for {
		n, err := t.in.Read(buf)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var keys []Key
		keys, rest = ParseKeys(append(rest, buf[:n]...))
		for _, k := range keys {
			press(k)
		}
		if err != nil {
			return err
		}
	}
}
