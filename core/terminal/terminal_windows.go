package terminal

import (
	"os"

	"golang.org/x/sys/windows"
	"golang.org/x/term"
)

// openKeys returns the standard input: a console has no second one.
func openKeys() (f *os.File, owned bool, err error) { return os.Stdin, false, nil }

// makeRaw also has the console execute the sequences that are drawn.
func makeRaw(in, out *os.File) (*term.State, error) {
	var mode uint32
	screen := windows.Handle(out.Fd())
	if err := windows.GetConsoleMode(screen, &mode); err != nil {
		return nil, err
	}
	if err := windows.SetConsoleMode(screen, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING); err != nil {
		return nil, err
	}
	return term.MakeRaw(int(in.Fd()))
}

func restore(in *os.File, before *term.State) error { return term.Restore(int(in.Fd()), before) }

// Resized returns a channel that never has a value: consoles send no signal.
func Resized() (changed <-chan os.Signal, stop func()) { return nil, func() {} }

func suspend() {}
