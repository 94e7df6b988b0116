package accesslog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/umbra-proxy/umbra/core"
	"github.com/umbra-proxy/umbra/core/option"
)

// Options are the keys of an [observer.x] table of kind "accesslog".
type Options struct {
	_       core.About     `help:"writes a line of JSON for each connection that has ended"`
	Output  Output         `toml:"output" required:"true" help:"where lines go: stdout, stderr, or the path of a file, which is opened again on SIGHUP and when it was renamed"`
	Fields  []Field        `toml:"fields" default:"time,pipeline,inbound,network,client,user,target,path,event,result,up,down,took" help:"what a line has, in this order"`
	Clients option.Clients `toml:"clients" default:"cut" help:"addresses of clients: full, cut to their /24 or /48, or none"`
	Results Results        `toml:"results" default:"all" help:"which connections: all, or failed, those that did not end in order"`
	Queue   int            `toml:"queue" default:"4096" min:"16" max:"1048576" help:"how many lines of 512 bytes wait for a slow disk or reader; further ones are lost and counted"`
}

// Output is where lines go: one of the words below, or the path of a file.
type Output string

// The outputs that are no file.
const (
	Stdout Output = "stdout"
	Stderr Output = "stderr"
)

// Type returns the name of the option type.
func (Output) Type() string { return "output" }

// Example returns a path.
func (Output) Example() string { return "/var/log/umbra/access.log" }

// UnmarshalText reads a word, or a path, which has a slash so that it is not a misspelt word.
func (o *Output) UnmarshalText(text []byte) error {
	*o = Output(text)
	if *o == Stdout || *o == Stderr || strings.ContainsAny(string(*o), `/\`) {
		return nil
	}
	return fmt.Errorf("want stdout, stderr or a path with a slash, such as %s, got %.60q", Output("").Example(), text)
}

// check returns why lines can't go there. It creates nothing.
func (o Output) check() error {
	if o == Stdout || o == Stderr {
		return nil
	}
	path := string(o)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		folder, err := os.Stat(filepath.Dir(path))
		if err == nil && !folder.IsDir() {
			err = fmt.Errorf("%s is no folder", filepath.Dir(path))
		}
		return err // the file is created later
	case info.IsDir():
		return fmt.Errorf("%s is a folder; want a file", path)
	case info.Mode()&os.ModeNamedPipe != 0:
		return fmt.Errorf("%s is a named pipe; want a file", path) // opening it would wait for a reader
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// Field is a key of a line.
type Field string

// The fields.
const (
	FieldTime      Field = "time"
	FieldAccepted  Field = "accepted"
	FieldID        Field = "id"
	FieldPipeline  Field = "pipeline"
	FieldInbound   Field = "inbound"
	FieldNetwork   Field = "network"
	FieldClient    Field = "client"
	FieldUser      Field = "user"
	FieldTarget    Field = "target"
	FieldPath      Field = "path"
	FieldEvent     Field = "event"
	FieldResult    Field = "result"
	FieldErr       Field = "err"
	FieldUp        Field = "up"
	FieldDown      Field = "down"
	FieldReceived  Field = "received"
	FieldTook      Field = "took"
	FieldHandshake Field = "handshake"
	FieldReach     Field = "reach"
	FieldFirstByte Field = "first_byte"
	FieldSteps     Field = "steps"
)

// Values returns all fields.
func (Field) Values() []string {
	return words([]Field{
		FieldTime, FieldAccepted, FieldID, FieldPipeline, FieldInbound, FieldNetwork, FieldClient, FieldUser, FieldTarget, FieldPath, FieldEvent, FieldResult,
		FieldErr, FieldUp, FieldDown, FieldReceived, FieldTook, FieldHandshake, FieldReach, FieldFirstByte, FieldSteps,
	})
}

// UnmarshalText reads one of the fields.
func (f *Field) UnmarshalText(text []byte) error { return option.ReadWord(f, text, f.Values()) }

// wantsSteps reports whether the field takes the recording of steps.
func (f Field) wantsSteps() bool { return f == FieldFirstByte || f == FieldSteps }

// Results says which connections are written.
type Results string

// The choices.
const (
	ResultsAll    Results = "all"
	ResultsFailed Results = "failed"
)

// Values returns the choices.
func (Results) Values() []string { return words([]Results{ResultsAll, ResultsFailed}) }

// UnmarshalText reads one of the choices.
func (r *Results) UnmarshalText(text []byte) error { return option.ReadWord(r, text, r.Values()) }

func words[T ~string](all []T) []string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = string(one)
	}
	return texts
}
