package kcl

import (
	"context"
	"fmt"
	"log/slog"

	"rootwatch/pipeline/kinesis/lease"

	kcllog "github.com/vmware/vmware-go-kcl-v2/logger"
)

// logger passes the library's log on. What it calls an error is mostly our own way to end a
// consumer; the rest is a warning, since whatever matters is decided and reported on this side.
type logger struct{ log *slog.Logger }

var _ kcllog.Logger = logger{}

func (l logger) write(level slog.Level, format string, args []any) {
	for _, a := range args {
		if err, ok := a.(error); ok && lease.IsEnd(err) {
			level = slog.LevelDebug
		}
	}
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, fmt.Sprintf(format, args...))
	}
}

func (l logger) Debugf(format string, args ...any) { l.write(slog.LevelDebug, format, args) }
func (l logger) Infof(format string, args ...any)  { l.write(slog.LevelDebug, format, args) }
func (l logger) Warnf(format string, args ...any)  { l.write(slog.LevelWarn, format, args) }
func (l logger) Errorf(format string, args ...any) { l.write(slog.LevelWarn, format, args) }

// Fatalf does not exit: it is the library's answer to clients that it cannot make, and ours are
// given to it.
func (l logger) Fatalf(format string, args ...any) { l.write(slog.LevelError, format, args) }

func (l logger) Panicf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (l logger) WithFields(fields kcllog.Fields) kcllog.Logger {
	log := l.log
	for k, v := range fields {
		log = log.With(k, v)
	}
	return logger{log}
}
