package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/alecthomas/units"

	"rootwatch/classify"
	"rootwatch/pipeline/dynamo"
)

// value is a flag whose errors name the flag and its variable, and say what would be right:
// kingpin's own errors repeat strconv's, and do not name the flag.
type value[T any] struct {
	flag     string
	variable bool // it has one
	to       *T
	parse    func(string) (T, error)
	want     string
	text     string
}

// reason is an error of parse that says more than want does.
type reason struct{ error }

func (v *value[T]) Set(s string) error {
	parsed, err := v.parse(strings.TrimSpace(s))
	if err != nil {
		return wrong(v.flag, v.variable, s, v.want, err)
	}
	*v.to, v.text = parsed, s
	return nil
}

func (v *value[T]) String() string { return v.text }

// wrong is the error for a flag's value.
func wrong(flag string, variable bool, s, want string, err error) error {
	more := reason{}
	switch {
	case errors.As(err, &more) && variable:
		return fmt.Errorf("%s: %w", settingName(flag), more.error)
	case errors.As(err, &more):
		return fmt.Errorf("--%s: %w", flag, more.error)
	case !variable:
		return fmt.Errorf("--%s is %q, want %s", flag, s, want)
	case fromVariable(flag):
		return fmt.Errorf("%s is %q, want %s", settingName(flag), s, want)
	}
	return fmt.Errorf("--%s is %q, want %s (its variable is %s)", flag, s, want, variableOf(flag))
}

func variableOf(flag string) string {
	return "ROOTWATCH_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(flag))
}

// fromVariable reports whether a flag's value is from its variable: a flag on the command line goes
// before.
func fromVariable(flag string) bool {
	given := slices.ContainsFunc(os.Args, func(arg string) bool { return arg == "--"+flag || strings.HasPrefix(arg, "--"+flag+"=") })
	return os.Getenv(variableOf(flag)) != "" && !given
}

// settingName is a flag with its variable.
func settingName(flag string) string {
	if fromVariable(flag) {
		return "--" + flag + " (from " + variableOf(flag) + ")"
	}
	return "--" + flag + " (" + variableOf(flag) + ")"
}

func setting[T any](cmd *kingpin.CmdClause, name, help string, to *T, standard, want string, parse func(string) (T, error)) {
	cmd.Flag(name, help).Default(standard).SetValue(&value[T]{flag: name, variable: true, to: to, parse: parse, want: want})
}

// durationFlag is for a duration of least at least.
func durationFlag(cmd *kingpin.CmdClause, name, help string, to *time.Duration, standard string, least time.Duration) {
	setting(cmd, name, help, to, standard, fmt.Sprintf("a duration such as 500ms, 20s or 1m, %s at least", least), durationFrom(least))
}

func durationFrom(least time.Duration) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err == nil && d < least {
			err = errors.New("too short")
		}
		return d, err
	}
}

func intFlag(cmd *kingpin.CmdClause, name, help string, to *int, standard string, least, most int) {
	setting(cmd, name, help, to, standard, fmt.Sprintf("a whole number, %d to %d", least, most), intIn(least, most))
}

func intIn(least, most int) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err == nil && (n < least || n > most) {
			err = errors.New("out of range")
		}
		return n, err
	}
}

// bytesFlag is for a size of so many MiB at least.
func bytesFlag(cmd *kingpin.CmdClause, name, help string, to *int64, standard string, least int64) {
	setting(cmd, name, help, to, standard, fmt.Sprintf("a size such as 64MiB, %d MiB at least", least), func(s string) (int64, error) {
		n, err := units.ParseBase2Bytes(s)
		if err == nil && int64(n) < least<<20 {
			err = errors.New("too little")
		}
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

// tableName is a flag's value that names a DynamoDB table.
func tableName(s string) (string, error) {
	if err := dynamo.CheckName(s); err != nil {
		return "", reason{err}
	}
	return s, nil
}

// listFlag is a list in one value, separated by commas; a repeated flag adds to it.
type listFlag struct{ to *[]string }

func (l *listFlag) Set(s string) error {
	for _, v := range strings.Split(s, ",") {
		if v = strings.TrimSpace(v); v != "" {
			*l.to = append(*l.to, v)
		}
	}
	return nil
}

func (l *listFlag) String() string { return "" }

// IsCumulative tells kingpin that the flag may be repeated.
func (l *listFlag) IsCumulative() bool { return true }

// checkedList is a listFlag whose members are looked at.
type checkedList struct {
	listFlag
	flag  string
	want  string
	check func(string) error
	need  bool // at least one
}

func (l *checkedList) Set(s string) error {
	before := len(*l.to)
	if err := l.listFlag.Set(s); err != nil {
		return err
	}
	added := (*l.to)[before:]
	if len(added) == 0 && l.need {
		return wrong(l.flag, true, s, l.want, nil)
	}
	for _, v := range added {
		if err := l.check(v); err != nil {
			return wrong(l.flag, true, v, l.want, err)
		}
	}
	return nil
}

func checkRegion(s string) error {
	if !classify.IsRegion(s) {
		return errors.New("no region")
	}
	return nil
}

// checkAddress requires a port: without one net.Listen takes any that is free.
func checkAddress(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err == nil && port == "" {
		err = errors.New("no port")
	}
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	return err
}

// oneLine is an error of several lines in one.
func oneLine(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}
