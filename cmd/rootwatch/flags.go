package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/alecthomas/units"
)

// value is a flag whose errors name the flag and its variable, and say what would be right: kingpin's own tell only what
// strconv said, and not of which flag.
type value[T any] struct {
	flag  string
	to    *T
	parse func(string) (T, error)
	want  string
	text  string
}

func (v *value[T]) Set(s string) error {
	parsed, err := v.parse(strings.TrimSpace(s))
	if err != nil {
		variable := "ROOTWATCH_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(v.flag))
		from := ""
		if os.Getenv(variable) == s {
			from = " (from " + variable + ")"
		}
		return fmt.Errorf("--%s%s is %q, want %s", v.flag, from, s, v.want)
	}
	*v.to, v.text = parsed, s
	return nil
}

func (v *value[T]) String() string { return v.text }

func setting[T any](cmd *kingpin.CmdClause, name, help string, to *T, standard, want string, parse func(string) (T, error)) {
	cmd.Flag(name, help).Default(standard).SetValue(&value[T]{flag: name, to: to, parse: parse, want: want})
}

func durationFlag(cmd *kingpin.CmdClause, name, help string, to *time.Duration, standard string) {
	setting(cmd, name, help, to, standard, "a duration such as 500ms, 20s or 1m", time.ParseDuration)
}

func intFlag(cmd *kingpin.CmdClause, name, help string, to *int, standard string) {
	setting(cmd, name, help, to, standard, "a whole number", strconv.Atoi)
}

func bytesFlag(cmd *kingpin.CmdClause, name, help string, to *int64, standard string) {
	setting(cmd, name, help, to, standard, "a size such as 64MiB", func(s string) (int64, error) {
		n, err := units.ParseBase2Bytes(s)
		return int64(n), err
	})
}

func choiceFlag(cmd *kingpin.CmdClause, name, help string, to *string, standard string, choices ...string) {
	setting(cmd, name, help, to, standard, "one of "+strings.Join(choices, ", "), func(s string) (string, error) {
		if s = strings.ToLower(s); !slices.Contains(choices, s) {
			return "", errors.New("no choice")
		}
		return s, nil
	})
}
