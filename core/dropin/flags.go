// Package dropin is what standing in for another program takes, whichever program it is: its
// flags, its name, its daemon with pid file and log file, and the user it becomes.
package dropin

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Flag is a flag of a program.
type Flag struct {
	Short byte   // 0 for none
	Long  string // "" for none
	Value string // what its value is called; "" for a flag without a value
	Help  string // what it does, for the program's help; "" keeps it out of it
}

// Name returns the flag's name without dashes: the long one if there is one.
func (f Flag) Name() string {
	if f.Long != "" {
		return f.Long
	}
	return string(f.Short)
}

// Flags are the flags of a program, which is called as getopt reads arguments.
type Flags struct {
	List []Flag
	// Permute reads flags behind words that are no flags, as GNU's getopt does. Without
	// it the first such word ends the flags, as in Python.
	Permute bool
}

// Given is a flag as it was given.
type Given struct {
	Flag  Flag
	Value string // "" if the flag has none
}

// Parse reads arguments: short flags alone or together, with a value in the same word or the
// next one, and long flags by their name or an abbreviation that no other flag has, with
// their value after "=" or in the next word. It returns the flags in the order in which they
// were given, and the words that are none. "--" ends the flags.
func (f Flags) Parse(args []string) (given []Given, rest []string, err error) {
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		switch {
		case word == "--":
			return given, append(rest, args...), nil
		case strings.HasPrefix(word, "--"):
			var g Given
			if g, args, err = f.long(word[2:], args); err != nil {
				return nil, nil, err
			}
			given = append(given, g)
		case len(word) > 1 && word[0] == '-':
			if given, args, err = f.short(given, word[1:], args); err != nil {
				return nil, nil, err
			}
		case !f.Permute:
			return given, append(append(rest, word), args...), nil
		default:
			rest = append(rest, word)
		}
	}
	return given, rest, nil
}

// long reads a long flag without its dashes, whose value may be the first of args.
func (f Flags) long(word string, args []string) (Given, []string, error) {
	name, value, hasValue := strings.Cut(word, "=")
	flag, err := f.find(name)
	switch {
	case err != nil:
		return Given{}, nil, err
	case flag.Value == "" && hasValue:
		return Given{}, nil, fmt.Errorf("option --%s must not have an argument", flag.Long)
	case flag.Value == "" || hasValue:
		return Given{flag, value}, args, nil
	case len(args) == 0:
		return Given{}, nil, fmt.Errorf("option --%s requires argument", flag.Long)
	}
	return Given{flag, args[0]}, args[1:], nil
}

// find returns the flag with a long name, or the only one whose name begins with it.
func (f Flags) find(name string) (Flag, error) {
	var found []Flag
	for _, flag := range f.List {
		if flag.Long == "" || !strings.HasPrefix(flag.Long, name) {
			continue
		}
		if flag.Long == name {
			return flag, nil
		}
		found = append(found, flag)
	}
	switch len(found) {
	case 0:
		return Flag{}, fmt.Errorf("option --%s not recognized", name)
	case 1:
		return found[0], nil
	}
	return Flag{}, fmt.Errorf("option --%s not a unique prefix", name)
}

// short reads a word of short flags without its dash; the value of the last one may be the
// first of args.
func (f Flags) short(given []Given, word string, args []string) ([]Given, []string, error) {
	for word != "" {
		at := slices.IndexFunc(f.List, func(flag Flag) bool { return flag.Short == word[0] })
		if at < 0 {
			return nil, nil, fmt.Errorf("option -%c not recognized", word[0])
		}
		flag := f.List[at]
		word = word[1:]
		switch {
		case flag.Value == "":
			given = append(given, Given{Flag: flag})
			continue
		case word != "":
			given = append(given, Given{flag, word})
		case len(args) == 0:
			return nil, nil, fmt.Errorf("option -%c requires argument", flag.Short)
		default:
			given, args = append(given, Given{flag, args[0]}), args[1:]
		}
		break
	}
	return given, args, nil
}

// WriteHelp writes a line for each flag that has a help text, with further lines of that text
// below it.
func (f Flags) WriteHelp(w io.Writer) {
	for _, flag := range f.List {
		if flag.Help == "" {
			continue
		}
		var name string
		switch {
		case flag.Short == 0:
			name = "    --" + flag.Long
		case flag.Long == "":
			name = "-" + string(flag.Short)
		default:
			name = "-" + string(flag.Short) + ", --" + flag.Long
		}
		switch {
		case flag.Value != "" && flag.Long != "":
			name += "=" + flag.Value
		case flag.Value != "":
			name += " " + flag.Value
		}
		for line := range strings.SplitSeq(flag.Help, "\n") {
			fmt.Fprintf(w, "  %-27s %s\n", name, line)
			name = ""
		}
	}
}
