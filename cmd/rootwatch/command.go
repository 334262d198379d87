package main

import (
	"context"
	"io"

	"github.com/alecthomas/kingpin/v2"
)

// command is one of the program's commands: its flags are registered by the time run is called.
type command struct {
	*kingpin.CmdClause
	run func(ctx context.Context, stdout, stderr io.Writer) error
}

// usageError says that the command line or the environment is wrong.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }
